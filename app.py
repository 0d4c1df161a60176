"""The app in a browser: python app.py [OPTIONS], the same as grafprint app."""

from grafprint.cli.serve import main

__all__ = ["main"]

if __name__ == "__main__":
    main()

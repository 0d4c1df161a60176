"""Results of the GraFPrint paper, for comparison: Tables II and III, top-1 within 50 ms, in %."""

from __future__ import annotations

SNRS_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
LENGTHS_S = (1.0, 2.0, 3.0, 5.0)

# {system: {length: (noise at each SNR, noise and reverb at each SNR)}}; references: fma-medium.
TABLE_II = {
    "nafp": {
        1.0: ((50.7, 69.7, 73.7, 76.0, 76.9), (20.8, 43.9, 55.5, 58.5, 58.9)),
        2.0: ((71.0, 83.4, 85.5, 87.6, 87.5), (37.8, 65.6, 73.5, 75.2, 76.7)),
        3.0: ((77.7, 84.8, 88.9, 89.2, 89.1), (50.1, 72.6, 80.0, 79.5, 80.1)),
        5.0: ((82.6, 89.2, 90.2, 90.5, 91.2), (60.2, 79.1, 83.4, 82.8, 83.1)),
    },
    "te-lsh": {
        1.0: ((66.6, 82.6, 87.6, 90.0, 90.6), (44.8, 62.6, 73.8, 79.4, 82.0)),
        2.0: ((80.4, 88.2, 91.6, 93.2, 94.8), (63.4, 78.2, 84.6, 86.0, 85.4)),
        3.0: ((83.2, 88.4, 92.6, 94.4, 95.2), (71.6, 82.6, 85.6, 86.2, 87.4)),
        5.0: ((85.6, 90.0, 92.8, 94.2, 95.8), (80.0, 87.0, 87.1, 87.6, 87.2)),
    },
    "te-ht": {
        1.0: ((64.9, 81.7, 87.9, 90.1, 90.9), (41.9, 62.0, 74.6, 79.2, 81.2)),
        2.0: ((80.2, 89.4, 93.1, 94.1, 94.9), (61.4, 80.8, 85.0, 87.5, 88.3)),
        3.0: ((84.7, 90.8, 95.5, 96.3, 97.1), (70.7, 84.1, 88.6, 89.0, 90.1)),
        5.0: ((88.0, 93.4, 95.3, 96.2, 97.4), (80.6, 88.6, 90.8, 91.3, 91.5)),
    },
    "grafprint": {
        1.0: ((63.9, 83.6, 93.5, 97.0, 98.8), (52.3, 68.1, 79.2, 85.3, 89.4)),
        2.0: ((85.7, 95.1, 98.6, 99.4, 99.8), (80.0, 88.6, 94.7, 94.6, 96.4)),
        3.0: ((93.3, 98.3, 99.3, 99.6, 99.9), (88.7, 92.9, 96.4, 96.4, 96.6)),
        5.0: ((97.7, 99.7, 99.5, 99.8, 99.9), (93.3, 95.9, 97.3, 97.6, 97.7)),
    },
}

# 1 s, noise and reverb; references: fma-large.
TABLE_III = {
    "ast": (22.2, 26.7, 29.3, 37.0, 40.8),
    "grafprint": (42.7, 61.8, 71.6, 81.3, 83.8),
}

# Classical programs on this project's corpus, measured once by hand (no command here does it):
# right track, top-1, in %, at 1, 2, 3 and 5 s; 150 queries per cell, 1,475 references (12 h),
# random offsets, unseen music, noises and rooms. 'dense' is audfprint with -n 100 -F 8 -P 8.
# {(snr_db, reverb): rates}
CLASSICAL = {
    "audfprint, dense": {
        (10.0, False): (55, 87, 91, 98),
        (0.0, False): (29, 62, 73, 89),
        (10.0, True): (20, 45, 70, 72),
    },
    "audfprint, default": {
        (10.0, False): (2, 23, 40, 71),
        (0.0, False): (2, 9, 18, 44),
        (10.0, True): (0, 5, 10, 34),
    },
    "Olaf": {
        (10.0, False): (25, 55, 69, 87),
        (0.0, False): (11, 30, 39, 61),
        (10.0, True): (1, 7, 7, 15),
    },
    "Panako (a quarter of the references)": {
        (10.0, False): (21, 54, 66, 84),
        (0.0, False): (10, 28, 35, 59),
        (10.0, True): (1, 3, 3, 11),
    },
    "chromaprint": {
        (10.0, False): (0, 0, 59, 89),
        (0.0, False): (0, 0, 13, 27),
        (10.0, True): (0, 0, 10, 26),
    },
}
# The same with a threshold for a false positive rate of 2 %.
CLASSICAL_THRESHOLDED = {
    "audfprint, dense": {
        (10.0, False): (24, 78, 87, 97),
        (0.0, False): (11, 46, 59, 83),
        (10.0, True): (4, 36, 57, 64),
    },
}

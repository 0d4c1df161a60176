"""How a virtual re-recording is drawn in training: how often each part, and from which ranges."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class RerecordingConfig:
    """How often each part takes part, and the ranges from which its settings are drawn."""

    loudspeaker_probability: float = 1.0
    high_pass_hz: Range = (80.0, 1000.0)  # log-uniform
    high_pass_db: Range = (12.0, 48.0)  # an octave
    tilt_db: Range = (-20.0, 30.0)  # from 100 Hz to 8 kHz
    resonance_db: float = 12.0  # of the strongest, up or down
    distortion_probability: float = 0.5
    drive: Range = (0.3, 4.0)  # log-uniform; 1 saturates at three times the RMS

    room_probability: float = 0.95
    synthetic_rooms: float = 0.5  # share of the rooms

    noise_probability: float = 0.95
    second_noise_probability: float = 0.4  # from another place in the room
    snr_db: Range = (-10.0, 20.0)

    microphone_probability: float = 0.8
    microphone_low_hz: Range = (40.0, 300.0)  # log-uniform, as the next
    microphone_high_hz: Range = (3000.0, 9000.0)
    microphone_db: float = 3.0  # standard deviation of the response from octave to octave
    hiss_probability: float = 0.8  # steady noise, of the recorder or far away
    hiss_db: Range = (-45.0, -8.0)  # relative to everything else

    suppression_probability: float = 0.4
    gain_control_probability: float = 0.5
    limiter_probability: float = 0.3
    coarse_probability: float = 0.3  # what a low bit rate leaves, without a codec
    codec_probability: float = 0.0  # real codecs, which are slow


PRESETS = {
    "phone across the room": RerecordingConfig(
        high_pass_hz=(80.0, 250.0),
        high_pass_db=(12.0, 24.0),
        tilt_db=(-15.0, 10.0),
        room_probability=1.0,
        snr_db=(0.0, 15.0),
    ),
    "laptop in a café": RerecordingConfig(
        high_pass_hz=(250.0, 1000.0),
        high_pass_db=(18.0, 48.0),
        tilt_db=(0.0, 30.0),
        room_probability=1.0,
        noise_probability=1.0,
        second_noise_probability=0.8,
        snr_db=(-10.0, 5.0),
    ),
    "car radio": RerecordingConfig(
        high_pass_hz=(80.0, 160.0),
        tilt_db=(-25.0, 0.0),
        distortion_probability=0.3,
        room_probability=0.5,
        noise_probability=1.0,
        snr_db=(-5.0, 10.0),
    ),
    "club": RerecordingConfig(
        high_pass_hz=(80.0, 100.0),
        tilt_db=(-30.0, -10.0),
        distortion_probability=1.0,
        drive=(1.0, 4.0),
        room_probability=1.0,
        noise_probability=1.0,
        snr_db=(-5.0, 10.0),
        gain_control_probability=1.0,
        limiter_probability=1.0,
    ),
}

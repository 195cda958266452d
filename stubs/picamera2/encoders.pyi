class Encoder:
    frames_encoded: int

class H264Encoder(Encoder):
    def __init__(self, bitrate: int, *, iperiod: int, framerate: float) -> None: ...

class MJPEGEncoder(Encoder):
    def __init__(self, bitrate: int) -> None: ...

"""The messages between the program and the decoder process, and the reasons for refusing a clip.

Only integers cross, in messages of one fixed size, and with OPEN three descriptors: the clip's, the
shared memory's and that of a pipe for what is written to stderr. Texts are looked up on the trusted
side. Pixels lie in shared memory of a size that the program has sealed. What both kinds of confined
processes say is in `child_messages`.
"""

from __future__ import annotations

from enum import IntEnum

from edge.errors import TruelightError
from edge.language import N_
from edge.scan.media.unsupported import UNSUPPORTED

MICROSECONDS = 1_000_000


class Request(IntEnum):
    """What the program asks for; the fields that follow in the message."""

    OPEN = 1  # window frames, window rate (micro Hz), max windows, first or 0, frame pixels,
    #           video pixels, picture pixels, CPU seconds, memory bytes
    START = 2  # number of slots, pixels that may be decoded
    RELEASE = 3  # slot
    NEXT = 4  # go on to the next part of the file
    TRY_SANDBOX = 5  # instead of OPEN: CPU seconds, memory bytes


class Reply(IntEnum):
    """What the decoder process answers; the fields that follow in the message."""

    OPENED = 1  # kind, container, codec, width, height, duration (us), rate (milli Hz), open (us)
    FRAME = 2  # slot, window, time (us), frames decoded, damaged
    ALIVE = 3  # frames decoded
    DONE = 4  # frames decoded, damaged, decode (us), stopped, whether another part follows
    FAILED = 5  # fault, two numbers for its text
    REMARKS = 6  # before DONE: a number for each `Remark`
    PART = 7  # before OPENED, of each part behind the first: its kind, its number


class ClipKind(IntEnum):
    """Whether a clip moves."""

    VIDEO = 0
    IMAGE = 1


class PartKind(IntEnum):
    """What a part of a file is. A player shows the first part, and hides or lists the others."""

    FIRST = 0
    TRACK = 1  # another video track
    PAGE = 2  # of a TIFF
    PICTURE = 3  # angle, burst, cover
    VIDEO = 4  # behind or within a picture
    JOINED = 5  # another file, joined behind


# A container or a codec crosses as its index in these tables. Only these are ever opened.
CONTAINERS = (
    *("mp4", "mov", "m4v", "3gp", "mkv", "webm", "avi", "wmv", "flv", "mpg", "ts"),
    *("gif", "apng", "webp", "jpg", "png", "bmp", "tiff"),
    *("h264", "hevc", "mjpeg", "ogv", "dv", "mxf", "ivf", "y4m", "nut", "heic", "avif", "dav"),
)
CODECS = (
    *("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3"),
    *("mpeg1video", "mpeg2video", "h263", "flv1", "wmv1", "wmv2", "wmv3", "vc1", "vp6", "vp6f"),
    *("vp6a", "svq1", "svq3", "cinepak", "theora", "mjpeg", "prores", "dnxhd", "ffv1", "huffyuv"),
    *("ffvhuff", "utvideo", "qtrle", "rawvideo", "dvvideo", "cfhd", "gif", "apng", "png", "bmp"),
    *("webp", "tiff", "rpza", "msvideo1", "indeo5", "h261", "flashsv", "flashsv2", "v210"),
    *("heic", "avif", "vp7", "magicyuv"),
)


# Codecs that are only named. Their index crosses too, from 1.
OTHER_CODECS = (
    *(("jpeg2000", "JPEG 2000"), ("vvc", "VVC"), ("evc", "EVC"), ("jpegxl", "JPEG XL")),
    *(("rv10", "RealVideo"), ("rv20", "RealVideo 2"), ("rv30", "RealVideo 8")),
    *(("rv40", "RealVideo 9"), ("hap", "Hap"), ("cllc", "Canopus Lossless"), ("indeo3", "Indeo 3")),
    *(("indeo4", "Indeo 4"), ("vp5", "VP5"), ("dirac", "Dirac"), ("snow", "Snow")),
    *(("vp4", "VP4"), ("vp3", "VP3"), ("cavs", "AVS"), ("avs2", "AVS2"), ("avs3", "AVS3")),
    *(("lagarith", "Lagarith"), ("fraps", "Fraps"), ("g2m", "GoToMeeting"), ("tscc", "TechSmith")),
    *(("mss2", "Windows Media Screen"), ("wmv3image", "Windows Media Image"), ("apv", "APV")),
    *(("prores_raw", "ProRes RAW"), ("jpegls", "JPEG-LS"), ("aic", "Apple Intermediate")),
    *(("asv1", "ASUS V1"), ("asv2", "ASUS V2"), ("cljr", "Cirrus Logic"), ("r210", "r210")),
    *(("r10k", "AJA 10 bit"), ("smc", "QuickTime Graphics"), ("dxv", "DXV"), ("zmbv", "DOSBox")),
    *(
        ("speedhq", "SpeedHQ"),
        ("zlib", "LCL ZLIB"),
        ("mszh", "LCL MSZH"),
        ("msrle", "Microsoft RLE"),
    ),
    *(("8bps", "QuickTime 8BPS"), ("v308", "v308"), ("v408", "v408"), ("v410", "v410")),
    *(("tscc2", "TechSmith 2"), ("mss1", "Windows Media Screen 7"), ("wnv1", "Winnov")),
)


class Fault(IntEnum):
    """Why a clip cannot be read. The numbers are stable; the texts are in `FAULTS`."""

    MISSING = 1
    NOT_A_FILE = 2
    FORBIDDEN = 3
    EMPTY = 4
    TEXT = 5
    SOUND = 6
    NOT_A_CLIP = 7
    NO_PICTURE = 8
    CODEC = 9
    BROKEN = 10
    NOTHING_DECODED = 11
    TOO_LARGE = 12
    STILL_FORMAT = 13
    INPUT = 14
    MEMORY = 15
    CRASHED = 16
    HUNG = 17
    INVALID_DATA = 18
    TOO_MUCH_WORK = 19
    NOT_STARTED = 20
    PIXEL_FORMAT = 21
    UNSUPPORTED = 22
    FRAGMENT = 23
    DOLBY_VISION = 24
    ENCRYPTED = 25
    ZEROS = 26


class Remark(IntEnum):
    """What must be known of a clip beside its frames; each crosses with a number, 0 for none."""

    OTHER_TRACKS = 0  # video tracks that were not looked at
    OTHER_PICTURES = 1  # pictures in the file that were not looked at: pages, angles
    VIDEO_BEHIND = 2  # videos behind a picture that were not looked at
    OTHER_PARTS = 3  # joined files behind the first that were not looked at
    # Of the part that was handed out last:
    UNINDEXED = 4  # seconds that are indexed, of a clip too long to be indexed whole
    COUNTED_TIMES = 5  # frames a second, thousandths, by which times were counted
    STILL = 6  # frames, if all show the same picture


LEFT_OUT = {
    PartKind.TRACK: Remark.OTHER_TRACKS,
    PartKind.PAGE: Remark.OTHER_PICTURES,
    PartKind.PICTURE: Remark.OTHER_PICTURES,
    PartKind.VIDEO: Remark.VIDEO_BEHIND,
    PartKind.JOINED: Remark.OTHER_PARTS,
}
"""The remark that counts the parts of a kind that were not looked at."""


_CHOOSE = N_("Choose a video or picture file.")
_COPY = N_("Copy the file again from its source.")
_CONVERT = N_("Convert it to MP4 (H.264), or a picture to JPEG or PNG.")
_CONVERT_VIDEO = N_("Convert it to MP4 (H.264).")
_CONVERT_PICTURE = N_("Convert it to JPEG or PNG.")
_DISTRUST = N_("Do not trust this file: it may be damaged or malicious.")

FAULTS: dict[Fault, tuple[str, str]] = {
    Fault.MISSING: (N_("The file does not exist."), N_("Check the path.")),
    Fault.NOT_A_FILE: (N_("This is not a regular file."), _CHOOSE),
    Fault.FORBIDDEN: (
        N_("No permission to read the file."),
        N_("Grant this user read permission."),
    ),
    Fault.EMPTY: (N_("The file is empty."), _COPY),
    Fault.TEXT: (N_("This is a text file."), _CHOOSE),
    Fault.SOUND: (N_("This is an audio file without pictures."), _CHOOSE),
    Fault.NOT_A_CLIP: (
        N_("Unsupported file type: no known video or picture."),
        N_("If it is one, convert it to MP4 (H.264), JPEG or PNG."),
    ),
    Fault.NO_PICTURE: (N_("The file contains no video, only audio or data."), _CHOOSE),
    Fault.CODEC: (N_("Unsupported video codec{codec}."), _CONVERT_VIDEO),
    Fault.BROKEN: (N_("The file is damaged or incomplete and cannot be opened."), _COPY),
    Fault.NOTHING_DECODED: (N_("No frame of the file can be decoded."), _COPY),
    Fault.TOO_LARGE: (
        N_("The picture has {megapixels} megapixels; the limit for files of this kind is {limit}."),
        N_("Scale it down."),
    ),
    Fault.STILL_FORMAT: (N_("This HEIC or AVIF picture cannot be decoded."), _CONVERT_PICTURE),
    Fault.INPUT: (N_("Reading the file failed."), N_("Check the disk or stick that holds it.")),
    Fault.MEMORY: (
        N_("Decoding exceeded the memory limit of 1.5 GB."),
        N_("Scale the video or picture down."),
    ),
    Fault.CRASHED: (N_("The decoder crashed on this file."), _DISTRUST),
    Fault.HUNG: (N_("The decoder stopped responding on this file."), _DISTRUST),
    Fault.INVALID_DATA: (N_("The decoder returned invalid data."), _DISTRUST),
    Fault.TOO_MUCH_WORK: (
        N_("Decoding exceeded the limit of work before a frame was decoded."),
        N_("Convert it to MP4 (H.264), or raise decode.budget or decode.megapixels."),
    ),
    Fault.NOT_STARTED: (
        N_("The decoder process cannot be started."),
        N_("Run `truelight doctor`."),
    ),
    Fault.PIXEL_FORMAT: (N_("Unsupported pixel format."), _CONVERT),
    Fault.UNSUPPORTED: (N_("{kind}: not supported."), _CONVERT),
    Fault.FRAGMENT: (
        N_("This is a piece of a streamed video: alone it cannot be shown."),
        N_("Join the initialization segment and the media segments in one file."),
    ),
    Fault.DOLBY_VISION: (
        N_("Dolby Vision without a layer for other players (profile 5): not supported."),
        _CONVERT_VIDEO,
    ),
    Fault.ENCRYPTED: (
        N_("The video is encrypted: it cannot be shown without its key."),
        N_("Export it without encryption."),
    ),
    Fault.ZEROS: (N_("The file begins with zeros only: recording or copying it failed."), _COPY),
}
"""For each fault one sentence, and what to do about it."""


class ClipError(TruelightError):
    """This clip cannot be read, because of `fault`; other clips are not affected."""

    def __init__(self, fault: Fault, *numbers: int) -> None:
        """`numbers` are for the text.

        Of an unsupported format its index in `UNSUPPORTED`, of a codec in `OTHER_CODECS` from 1.
        """
        message, remedy = FAULTS[fault]
        name = ""
        if fault is Fault.UNSUPPORTED:
            kind = UNSUPPORTED[numbers[0]]
            name = f"{kind.name[0].upper()}{kind.name[1:]}"
            remedy = _CONVERT_VIDEO if kind.moves else _CONVERT_PICTURE
        elif fault is Fault.CODEC and numbers and numbers[0]:
            name = f": {OTHER_CODECS[numbers[0] - 1][1]}"
        megapixels, limit = numbers if fault is Fault.TOO_LARGE else (0, 0)
        parts = {"megapixels": megapixels, "limit": limit, "codec": name, "kind": name}
        super().__init__(message.format(**parts), remedy)
        self.fault = fault
        self.numbers = numbers

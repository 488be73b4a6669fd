/** Every number an MPF reader enforces (SPEC 2.3): the bounds that keep a hostile file cheap to refuse. */

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

export const MAJOR_VERSION = 1
export const MIN_FILE_BYTES = KIB
export const MAX_FILE_BYTES = 64 * GIB
export const MIN_SECTIONS = 5
export const MAX_SECTIONS = 16
export const MAX_SECTION_BYTES = 2 ** 40
export const MAX_PUB_BYTES = 4 * KIB
export const MAX_MAN_BYTES = 64 * KIB
export const MAX_GRT_BYTES = MIB
export const MAX_GRANTS = 256
export const MAX_GRANT_BYTES = 0xffff

/** FLOE segment = fs-verity block. The small one only while ENC stays below 1 MiB, so that a 10 KB job stays a 20 KB file. */
export const SEGMENT_BYTES = 65536
export const SMALL_SEGMENT_BYTES = 4096
export const SMALL_ENC_BYTES = MIB
/** One FLOE derived key a stream: AEAD_ROTATION_MASK is 20. */
export const MAX_SEGMENTS = 2 ** 20

export const MAX_META_BYTES = 16 * MIB
export const MAX_BLOCK_BYTES = MIB
/** ZSTD_COMPRESSBOUND of a full block: a frame is read whole, so its size is bounded before anything is allocated for it. */
export const MAX_FRAME_BYTES = MAX_BLOCK_BYTES + MAX_BLOCK_BYTES / 256
export const MAX_BLOCKS = 65536
export const MAX_TEXT_BYTES = MAX_BLOCK_BYTES * MAX_BLOCKS
/** Raw line with its comment, without the LF. */
export const MAX_LINE_BYTES = 256
/** Command after its comment and trailing spaces are stripped. */
export const MAX_COMMAND_BYTES = 96

export const MAX_JSON_DEPTH = 6
export const MAX_JSON_STRING = 4096

export const MAX_THUMBNAILS = 8
export const MAX_THUMBNAIL_BYTES = MIB
export const MAX_THUMBNAIL_PIXELS = 1024

/** Limits that hold everywhere. Those that a user may move stand in config/; format limits in format/. */

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

/** A path inside a dataset, in UTF-8 bytes. */
export const PATH_BYTES_MAX = 4096;
/** A name, scope or tag, in characters. */
export const NAME_LENGTH_MAX = 128;
/** A domain, in characters. */
export const DOMAIN_LENGTH_MAX = 256;
/** Labels of one publish. */
export const LABELS_MAX = 64;
/** A label's key or value, and a message, in characters. */
export const LABEL_LENGTH_MAX = 256;
export const MESSAGE_LENGTH_MAX = 4096;
/** Tags that one push may set. */
export const TAGS_PER_PUSH_MAX = 64;

/** Versions that one analysis compares at most. */
export const ANALYZE_VERSIONS_MAX = 50;

/** Bytes of content that are decoded and kept together, unless somebody says otherwise. */
export const PIECE_BYTES_DEFAULT = 512 * KiB;

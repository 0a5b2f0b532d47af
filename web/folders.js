/* What a node of photos names as its folder. */

const EXAMPLE = "example: ";
export const FROM_GRAPH = "(use images)";

/** Whether it is a folder of the host's input folder: the user's own, not an example of the pack. */
export const isOwn = (folder) => Boolean(folder) && folder !== FROM_GRAPH && !folder.startsWith(EXAMPLE);

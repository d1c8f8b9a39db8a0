/** Place of a primitive; its pid is the place plus one. -1: nobody. */
export type Slot = number

export const NONE = -1

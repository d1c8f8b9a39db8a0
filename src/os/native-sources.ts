/** Written by native/install.mjs: what the addon must be made of, see native/sources.mjs. */
export const NATIVE_SOURCES = '51973057be9b7ddc'

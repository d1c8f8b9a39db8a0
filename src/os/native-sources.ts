/** Written by native/install.mjs: what the addon must be made of, see native/sources.mjs. */
export const NATIVE_SOURCES = '8759b4a077647654'

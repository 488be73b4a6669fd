/** The day this version was made: no clock that is behind it is right. */
export const BUILD_AT_MS = Date.UTC(2026, 10, 22)

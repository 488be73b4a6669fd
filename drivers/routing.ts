/** Which controller of a printer a command is for: by its word, by its tool, or the one that moves. Pure. */

/** What one controller takes beside the motion controller. */
export interface Route {
  /** Tools that are its own: their selection, heat, fan and flow. */
  readonly tools: readonly number[]
  /** Words it takes in order: everything before is executed first, everything after waits for them. */
  readonly commands: readonly string[]
  /** Words it takes as soon as their turn comes: nothing waits, the planner of the motion controller stays full. */
  readonly freeCommands: readonly string[]
}

/** `to` counts the routes from 1; 0 is the motion controller. */
export interface Destination {
  readonly to: number
  readonly isOrdered: boolean
}

const MOTION: Destination = { to: 0, isOrdered: true }
/** Words that act on a tool: the one they name by T, or else the selected one. */
const OF_TOOLS = new Set(['M104', 'M106', 'M107', 'M109', 'M221'])
/** Of those, the ones a program does not wait for. */
const FREE_OF_TOOLS = new Set(['M104', 'M106', 'M107', 'M221'])
const WORD = /^([GMT])0*(\d+)/
const TOOL = /T(\d+)/

/** A router for one printer; it follows which tool is selected. */
export function createRouter(routes: readonly Route[]): (text: string) => Destination {
  let tool = 0
  const ownerOf = (wanted: number): number =>
    routes.findIndex(({ tools }) => tools.includes(wanted)) + 1
  return text => {
    const [, letter, digits] = WORD.exec(text) ?? []
    if (letter === undefined) return MOTION
    if (letter === 'T') {
      tool = Number(digits)
      return { to: ownerOf(tool), isOrdered: true }
    }
    const word = `${letter}${digits}`
    const ordered = routes.findIndex(({ commands }) => commands.includes(word)) + 1
    if (ordered > 0) return { to: ordered, isOrdered: true }
    const free = routes.findIndex(({ freeCommands }) => freeCommands.includes(word)) + 1
    if (free > 0) return { to: free, isOrdered: false }
    if (!OF_TOOLS.has(word)) return MOTION
    const named = TOOL.exec(text)?.[1]
    const to = ownerOf(named === undefined ? tool : Number(named))
    return { to, isOrdered: !FREE_OF_TOOLS.has(word) }
  }
}

/** What a sealed file says about its part: the slicer's comments and what was measured, and over them what the options give. */

import { basename } from 'node:path'
import type { ParseArgsOptionsConfig } from 'node:util'
import {
  MpfError,
  type PartInfo,
  type PartMetadata,
  type ProgramPacker,
  parseGivenInfo,
  type Thumbnail,
  thumbnailKind,
} from '#mpf'
import type { CommandContext } from './command.ts'
import { UsageError } from './errors.ts'
import { readBytes } from './key-files.ts'

/** SPEC 6.5 */
const MAX_MATERIALS = 16
const MAX_THUMBNAILS = 8
const MAX_NAME_CHARACTERS = 256
const TOOL_WORDS = ['T0', 'T1', 'T2', 'T3']
const ORIENTATION =
  /^(-?[0-9]{1,3}(?:\.[0-9]{1,3})?),(-?[0-9]{1,3}(?:\.[0-9]{1,3})?),(-?[0-9]{1,3}(?:\.[0-9]{1,3})?)$/

type Materials = NonNullable<PartInfo['materials']>

export const DESCRIBE_OPTIONS = {
  title: { type: 'string' },
  label: { type: 'string' },
  orientation: { type: 'string' },
  thumbnail: { type: 'string', multiple: true },
  info: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig

export const DESCRIBE_HELP = `  --title TEXT     name of the part (default: the file's name)
  --label TEXT     classification label
  --orientation X,Y,Z   rotation of the part on the plate, degrees
  --thumbnail FILE PNG or QOI, at most 1 MiB and 1024 pixels a side (repeatable up to 8); instead of the slicer's
  --info FILE      JSON with members of the sealed file's info (SPEC 6.5): title, label, slicer, profile, layerHeightUm,
                   timeS, orientationMdeg, materials, fibre. A member given replaces what the slicer's comments say, an
                   option above replaces the member: {"materials": [{"tool": 0, "kind": "plastic", "name": "PA12-CF"}],
                   "fibre": [{"tool": 1, "fromLayer": 3, "toLayer": 8, "pattern": "concentric", "anglesMdeg": [0], "rings": 2}]}
                   Where the slicer tells no filament, its length is measured`

/** What the options say of a part. */
export interface GivenDescription {
  readonly info: Partial<PartInfo>
  readonly thumbnails: readonly Thumbnail[]
}

/** Reads and checks what the options give, before anything is sealed. @throws UsageError, ToolError TOOL_FILE */
export async function readDescription(context: CommandContext): Promise<GivenDescription> {
  const file = context.text('info')
  const [title, label] = [context.text('title'), context.text('label')]
  const orientationMdeg = orientationOf(context.text('orientation'))
  const files = context.list('thumbnail')
  if (files.length > MAX_THUMBNAILS)
    throw new UsageError(`--thumbnail: ${files.length} files, at most ${MAX_THUMBNAILS}`)
  return {
    info: {
      ...(file !== undefined && (await readInfo(file))),
      ...(title !== undefined && { title }),
      ...(label !== undefined && { label }),
      ...(orientationMdeg && { orientationMdeg }),
    },
    thumbnails: await Promise.all(files.map(readThumbnail)),
  }
}

async function readInfo(file: string): Promise<Partial<PartInfo>> {
  const bytes = await readBytes(file)
  try {
    return parseGivenInfo(bytes)
  } catch (cause) {
    if (cause instanceof MpfError)
      throw new UsageError(`--info ${file}: ${cause.message}`, { cause })
    throw cause
  }
}

async function readThumbnail(file: string): Promise<Thumbnail> {
  const bytes = await readBytes(file)
  const kind = thumbnailKind(bytes)
  if (!kind)
    throw new UsageError(`--thumbnail ${file}: no PNG or QOI of at most 1 MiB and 1024 pixels`)
  return { kind, bytes }
}

function orientationOf(text: string | undefined): PartInfo['orientationMdeg'] {
  if (text === undefined) return undefined
  const [x, y, z] = (ORIENTATION.exec(text) ?? [])
    .slice(1)
    .map(degrees => Math.round(Number(degrees) * 1000))
  if (x === undefined || y === undefined || z === undefined)
    throw new UsageError(`--orientation ${text}: expected three angles in degrees, as 0,90,45`)
  return [x, y, z]
}

/** The metadata of a packed program. */
export function describePart(
  given: GivenDescription,
  packer: ProgramPacker,
  input: string,
): PartMetadata {
  const { slicer, profile, layerHeightUm, timeS } = packer.facts
  const materials = materialsOf(packer)
  return {
    info: {
      title: basename(input).replace(/\.(gcode|gco|g)(\.zst)?$/i, ''),
      ...(slicer !== undefined && { slicer }),
      ...(profile !== undefined && { profile }),
      ...(layerHeightUm !== undefined && { layerHeightUm }),
      ...(timeS !== undefined && { timeS }),
      ...(materials.length > 0 && { materials }),
      ...given.info,
      layers: packer.layers,
    },
    thumbnails: given.thumbnails.length > 0 ? given.thumbnails : packer.thumbnails(),
    geometry: packer.geometry(),
  }
}

/** Slicers list either every filament there is or, in order, those the print uses. */
function materialsOf(packer: ProgramPacker): Materials {
  const { filamentUm, filamentMg, filamentNames, filamentTools } = packer.facts
  if (filamentUm.length === 0) return measuredMaterials(packer)
  const isEveryFilament = filamentUm.length === filamentNames.length
  const used = TOOL_WORDS.filter(word => packer.limits().words.has(word)).map(word =>
    TOOL_WORDS.indexOf(word),
  )
  const tools = filamentTools.length > 0 ? filamentTools : isEveryFilament ? [] : used
  return filamentUm.slice(0, MAX_MATERIALS).map((lengthUm, position) => {
    const tool = tools[position] ?? position
    const massMg = filamentMg[position]
    return {
      tool,
      kind: 'plastic' as const,
      name: nameOf(packer, tool),
      lengthUm,
      ...(massMg !== undefined && { massMg }),
    }
  })
}

/** CuraEngine without its window leaves a placeholder where the filament should stand. */
function measuredMaterials(packer: ProgramPacker): Materials {
  return packer
    .filamentUm()
    .map((lengthUm, tool) => ({
      tool,
      kind: 'plastic' as const,
      name: nameOf(packer, tool),
      lengthUm,
    }))
    .filter(({ lengthUm }) => lengthUm > 0)
}

function nameOf(packer: ProgramPacker, tool: number): string {
  return (packer.facts.filamentNames[tool] ?? '').slice(0, MAX_NAME_CHARACTERS)
}

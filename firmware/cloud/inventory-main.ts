/** The process `takeInventory` starts: reads the facts, tells them, ends. The only file that imports systeminformation. */

import { cpu, mem, osInfo, system } from 'systeminformation'
import type { Inventory } from './inventory.ts'

const [machine, processor, os, memory] = await Promise.all([system(), cpu(), osInfo(), mem()])
const inventory: Inventory = {
  ...{ system: machine.manufacturer, model: machine.model, cpu: processor.brand },
  ...{ cores: processor.cores, os: `${os.distro} ${os.release}`, kernel: os.kernel },
  memoryBytes: memory.total,
}
process.send?.(inventory)

// Written by `mlx-gate plugin build`: makes a component of plugin.js.

import { readFile, writeFile } from 'node:fs/promises';

const [world, output] = process.argv.slice(2);
const source = 'plugin.js';

async function quickjs({ componentize }) {
  const jsSource = await readFile(source, 'utf8');
  return componentize({ witPath: 'wit', world, jsSource, jsPath: source, sync: true, optSize: true });
}

function spidermonkey({ componentize }) {
  return componentize({ sourcePath: source, witPath: 'wit', worldName: world, disableFeatures: ['http', 'fetch-event'] });
}

const engines = [['componentize-qjs', quickjs], ['@bytecodealliance/componentize-js', spidermonkey]];
for (const [name, build] of engines) {
  const module = await import(name).catch((error) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  });
  if (module) {
    const { component } = await build(module);
    await writeFile(output, component);
    process.exit(0);
  }
}
console.error('neither componentize-qjs nor @bytecodealliance/componentize-js is installed here');
process.exit(1);

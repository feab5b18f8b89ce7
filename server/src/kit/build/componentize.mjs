// Written by `mlx-gate plugin build`: makes a component of plugin.js.

import { readFile, writeFile } from 'node:fs/promises';

const [world, output] = process.argv.slice(2);
const source = 'plugin.js';

// What package.json names decides: one of these packages brings the other along.
const engines = {
  async 'componentize-qjs'({ componentize }) {
    const jsSource = await readFile(source, 'utf8');
    return componentize({ witPath: 'wit', world, jsSource, jsPath: source, sync: true, optSize: true });
  },
  '@bytecodealliance/componentize-js'({ componentize }) {
    const disableFeatures = ['http', 'fetch-event'];
    return componentize({ sourcePath: source, witPath: 'wit', worldName: world, disableFeatures });
  },
};

const { dependencies, devDependencies } = JSON.parse(await readFile('package.json', 'utf8'));
const named = { ...dependencies, ...devDependencies };
const engine = Object.keys(engines).find((name) => name in named);
if (!engine) {
  console.error(`package.json names none of: ${Object.keys(engines).join(', ')}`);
  process.exit(1);
}
const { component } = await engines[engine](await import(engine));
await writeFile(output, component);
process.exit(0);

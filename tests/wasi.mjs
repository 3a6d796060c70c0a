// Runs a WebAssembly program as a command: node tests/wasi.mjs FILE ARGUMENTS...  It sees the current folder and /tmp.
import { readFileSync } from 'node:fs';
import { argv, env, exit } from 'node:process';
import { WASI } from 'node:wasi';

process.removeAllListeners('warning'); // node says that its WASI is an experiment
const wasi = new WASI({ version: 'preview1', args: argv.slice(2), env, preopens: { '.': '.', '/tmp': '/tmp' } });
const module = await WebAssembly.compile(readFileSync(argv[2]));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
exit(wasi.start(instance));

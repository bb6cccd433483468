export { Credential, type CredentialOptions } from './credential.js';
export type { Material } from './material.js';
export type { Source } from './source.js';
export { type EnvSourceOptions, envSource } from './sources/env.js';
export { type FileSourceOptions, fileSource } from './sources/file.js';
export { type ProcessSourceOptions, processSource } from './sources/process.js';
export { type StaticSourceOptions, staticSource } from './sources/static.js';

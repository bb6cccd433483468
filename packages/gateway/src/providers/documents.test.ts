import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../config/load.js';
import { removeTemporaryDirectories, temporaryDirectory } from '../testing/temporary-directory.test.support.js';

afterAll(removeTemporaryDirectories);

const root = new URL('../../../../', import.meta.url);
const ENV = { ACME_SECRET: 'a', APP_SECRET: 'b', ROUTER_TOKEN: 'c', SIMPLE_KEY: 'd' };

describe('what the documents show is valid, and nothing in it is useless', () => {
  test.each(['docs/grants.md', 'docs/routing.md'])('%s', async (name) => {
    const directory = await temporaryDirectory();
    const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(join(directory, 'client.pem'), key);
    const blocks = Array.from(readFileSync(new URL(name, root), 'utf8').matchAll(/```yaml\n(gateway:\n.*?)```/gs), ([, block]) => block);
    expect(blocks).toHaveLength(1);
    for (const block of blocks) {
      const text = block.replace('gateway:\n', 'gateway:\n  listeners: { sidecar: {} }\n');
      expect(parseConfig(text, { path: join(directory, 'sallyport.yaml'), env: ENV }).warnings).toEqual([]);
    }
  });

  test('examples/distributor', () => {
    const file = new URL('examples/distributor/sallyport.yaml', root);
    expect(parseConfig(readFileSync(file, 'utf8'), { path: file.pathname, env: {} }).warnings).toEqual([]);
  });
});

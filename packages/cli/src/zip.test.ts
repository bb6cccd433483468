import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ZipEntry, zip } from './zip.js';

/** Reads an archive by its directory at the end, as every program does. */
function unzip(archive: Buffer): ZipEntry[] {
  const end = archive.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  let at = archive.readUInt32LE(end + 16);
  return Array.from({ length: archive.readUInt16LE(end + 10) }, () => {
    const nameLength = archive.readUInt16LE(at + 28);
    const [checksum, size, offset] = [16, 24, 42].map((field) => archive.readUInt32LE(at + field)) as [number, number, number];
    const name = archive.toString('ascii', at + 46, at + 46 + nameLength);
    expect(archive.toString('ascii', offset + 30, offset + 30 + nameLength)).toBe(name);
    const content = archive.subarray(offset + 30 + nameLength, offset + 30 + nameLength + size);
    expect(crc32(content)).toBe(checksum);
    at += 46 + nameLength;
    return { name, content };
  });
}

test('what goes in comes out', () => {
  const entry = fc.record({
    name: fc.stringMatching(/^[a-z/.]{1,20}$/),
    content: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 5 }), (entries) => {
      expect(unzip(zip(entries))).toEqual(entries);
    }),
  );
});

const python = spawnSync('python3', ['--version']).status === 0;

test.skipIf(!python)('another program can read it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-zip-'));
  try {
    const archive = join(directory, 'a.zip');
    writeFileSync(archive, zip([{ name: 'a/b.txt', content: Buffer.from('hello') }]));
    const { stdout } = spawnSync('python3', [
      '-c',
      `import zipfile; z = zipfile.ZipFile(${JSON.stringify(archive)}); print(z.testzip(), z.read('a/b.txt'))`,
    ]);
    expect(stdout.toString()).toBe("None b'hello'\n");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

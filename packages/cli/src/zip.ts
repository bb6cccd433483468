import { crc32 } from 'node:zlib';

/** One file of an archive. */
export interface ZipEntry {
  /** With `/` between directories. ASCII. */
  readonly name: string;
  readonly content: Buffer;
}

const VERSION_NEEDED = 10;
/** 1980-01-01, the first day that the format knows: the same files make the same archive. */
const DATE = 0x0021;

/** A ZIP archive (APPNOTE 6.3) with the entries as they are, not compressed: what a JAR and a Python wheel are. */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content } of entries) {
    const path = Buffer.from(name, 'ascii');
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(VERSION_NEEDED, 0);
    shared.writeUInt16LE(DATE, 8);
    shared.writeUInt32LE(crc32(content), 10);
    shared.writeUInt32LE(content.length, 14);
    shared.writeUInt32LE(content.length, 18);
    shared.writeUInt16LE(path.length, 22);
    const header = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), shared, path, content]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), Buffer.of(VERSION_NEEDED, 0), shared, rest, path]));
    files.push(header);
    offset += header.length;
  }
  const index = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(index.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...files, index, Buffer.from('PK\x05\x06', 'latin1'), end]);
}

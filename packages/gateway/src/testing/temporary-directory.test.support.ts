import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set<string>();

/** A new directory, which is removed with everything else that a test has started. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
  made.add(directory);
  return directory;
}

export async function removeTemporaryDirectories(): Promise<void> {
  await Promise.all([...made].map((directory) => rm(directory, { recursive: true, force: true })));
  made.clear();
}

import { watchConfig } from '@sallyport/gateway';
import { asSallyportError } from '@sallyport/sdk';
import type { CertificateKeeper, KeeperEvents } from './certificate-keeper.js';
import type { ServedCertificate } from './served-certificate.js';

const DAY = 24 * 3_600_000;

/**
 * Keeps what `read` answers: read again whenever one of the files changes, and once a day, so that `read` can renew or warn. What cannot be read
 * leaves the certificate before it in use, and is told. Rejects as the first `read` does.
 */
export async function keepWatched(
  [first, ...rest]: readonly [string, ...string[]],
  read: () => Promise<ServedCertificate>,
  { onTrouble, onChange, signal }: KeeperEvents,
): Promise<CertificateKeeper> {
  let current = await read();
  let closed = false;
  // One after the other: an older read that ends later must not win.
  let last = Promise.resolve();

  async function reload(): Promise<void> {
    if (closed || signal.aborted) return;
    try {
      const found = await read();
      if (closed || isSame(found, current)) return;
      current = found;
      onChange();
    } catch (error) {
      onTrouble(asSallyportError(error));
    }
  }
  function enqueue(): void {
    last = last.then(reload);
  }

  const unwatch = watchConfig(first, rest, enqueue);
  const daily = setInterval(enqueue, DAY).unref();
  return {
    find: () => current,
    challengeHandler: null,
    async close() {
      closed = true;
      unwatch();
      clearInterval(daily);
      await last;
    },
  };
}

function isSame(one: ServedCertificate, other: ServedCertificate): boolean {
  return one.pair.cert === other.pair.cert && one.pair.key === other.pair.key;
}

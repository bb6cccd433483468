import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { javaTrustStore } from '@sallyport/gateway';
import type { Suite } from './client-suite.js';
import { type Library, librarySuite } from './library-suite.js';
import { programFile } from './program-files.js';
import { versionOf } from './run-client.js';

const password = 'changeit';

const httpClient: Library = {
  name: 'Java HttpClient',
  // A runtime without a compiler cannot start a program from its source.
  version: versionOf('javac', ['-version'], /javac (\S+)/),
  source: 'the Debian package default-jdk-headless',
  setup: '`ProxySelector` and `Authenticator`, `-Djdk.http.auth.tunneling.disabledSchemes=`; `-Djavax.net.ssl.trustStore`',
  command: (world, ca) => {
    const store = path.join(world.directory, 'trust.jks');
    writeFileSync(store, javaTrustStore([readFileSync(ca, 'utf8')], password));
    const trust = [`-Djavax.net.ssl.trustStore=${store}`, '-Djavax.net.ssl.trustStoreType=JKS', `-Djavax.net.ssl.trustStorePassword=${password}`];
    // Java does not send a password to a proxy through which it wants to reach an https URL, unless it is told to.
    return ['java', '-Djdk.http.auth.tunneling.disabledSchemes=', ...trust, programFile('Client.java')];
  },
};

/** The suite of Java. */
export function javaSuite(): Suite {
  return librarySuite(httpClient);
}

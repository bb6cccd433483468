import { marker } from './test-upstream.js';

/** A client that the doctor tries. */
export interface Client {
  readonly name: string;
  readonly program: string;
  readonly version: readonly string[];
  /** What it is called with; `origin` is that of the test upstream, `directory` is empty and its own. */
  readonly request: (origin: string, directory: string) => readonly string[];
  /** A file that is written to `directory` first. */
  readonly source?: { readonly name: string; readonly text: string };
  /** What its output holds when all went well; the marker when left out. */
  readonly expect?: string;
  /** When its output holds this, the client (or a part of it) is not there. */
  readonly absent?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** It never asks a proxy for what leads into the loopback network. */
  readonly avoidsLoopback?: true;
  /** What to do when it fails. */
  readonly fix: string;
}

const python = (imports: string, code: string): string => `import ${imports}\n${code}`;

const go = `package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	response, err := http.Get(os.Args[1])
	if err != nil { fmt.Println(err); os.Exit(1) }
	io.Copy(os.Stdout, response.Body)
}
`;

const java = `public class Fetch {
  public static void main(String[] args) throws Exception {
    System.out.write(new java.net.URL(args[0]).openStream().readAllBytes());
    System.out.flush();
  }
}
`;

/** Every client that the doctor knows, in the order of its table. */
export const clients: readonly Client[] = [
  {
    name: 'curl',
    program: 'curl',
    version: ['--version'],
    request: (origin) => ['-sS', '--max-time', '20', `${origin}/`],
    fix: 'A ~/.curlrc with `proxy`, `noproxy` or `cacert` overrides the variables: take those lines out, or call `curl -q`.',
  },
  {
    name: 'wget',
    program: 'wget',
    version: ['--version'],
    request: (origin) => ['-q', '-O', '-', '--tries=1', '--timeout=20', `${origin}/`],
    fix: 'Look for `use_proxy = off` or `https_proxy` in /etc/wgetrc; `wget --ca-certificate="$SSL_CERT_FILE"` names the certificates by hand.',
  },
  {
    name: 'git',
    program: 'git',
    version: ['--version'],
    request: (origin) => ['ls-remote', `${origin}/repo.git`],
    fix:
      '`git config --show-origin --get-regexp "^http\\."` shows settings (http.proxy, http.sslCAInfo, http.sslBackend) that override the ' +
      'variables.',
  },
  {
    name: 'node fetch',
    program: 'node',
    version: ['--version'],
    request: (origin) => ['-e', `fetch('${origin}/').then(async (r) => console.log(await r.text()), (e) => console.log(e.cause ?? e))`],
    fix: 'Keep NODE_OPTIONS and NODE_USE_ENV_PROXY as `sallyport run` sets them; a program that calls setGlobalDispatcher goes its own way.',
  },
  {
    name: 'node https',
    program: 'node',
    version: ['--version'],
    request: (origin) => ['-e', `require('https').get('${origin}/', (r) => r.pipe(process.stdout)).on('error', console.log)`],
    fix: 'Keep NODE_OPTIONS and NODE_USE_ENV_PROXY as `sallyport run` sets them; a program with an https.Agent of its own goes its own way.',
  },
  {
    name: 'python3 urllib',
    program: 'python3',
    version: ['--version'],
    request: (origin) => ['-c', python('urllib.request', `print(urllib.request.urlopen('${origin}/', timeout=20).read().decode())`)],
    fix: 'A Python with OpenSSL of its own reads SSL_CERT_FILE; on macOS use the one from python.org or Homebrew.',
  },
  {
    name: 'python3 requests',
    program: 'python3',
    version: ['-c', python('requests', 'print(requests.__version__)')],
    request: (origin) => ['-c', python('requests', `print(requests.get('${origin}/', timeout=20).text)`)],
    absent: 'ModuleNotFoundError',
    fix: 'A session with trust_env = False or with verify= of its own does not read the variables: take that out.',
  },
  {
    name: 'python3 httpx',
    program: 'python3',
    version: ['-c', python('httpx', 'print(httpx.__version__)')],
    request: (origin) => ['-c', python('httpx', `print(httpx.get('${origin}/', timeout=20).text)`)],
    absent: 'ModuleNotFoundError',
    fix: 'A client with trust_env=False or with verify= of its own does not read the variables: take that out.',
  },
  {
    name: 'go',
    program: 'go',
    version: ['version'],
    source: { name: 'main.go', text: go },
    request: (origin, directory) => ['run', `${directory}/main.go`, `${origin}/`],
    avoidsLoopback: true,
    env: { GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '' },
    fix:
      'Go never uses a proxy for localhost. On macOS and Windows it ignores SSL_CERT_FILE: add the certificate (`sallyport ca path --file`) to ' +
      'the system.',
  },
  {
    name: 'java',
    program: 'java',
    version: ['-version'],
    source: { name: 'Fetch.java', text: java },
    request: (origin, directory) => [`${directory}/Fetch.java`, `${origin}/`],
    absent: 'jdk.compiler',
    fix:
      'Keep JAVA_TOOL_OPTIONS as `sallyport run` sets it; it needs the module java.instrument. java.net.http.HttpClient needs ' +
      '.authenticator(Authenticator.getDefault()).',
  },
  {
    name: 'ruby',
    program: 'ruby',
    version: ['--version'],
    request: (origin) => ['-rnet/http', '-e', `puts Net::HTTP.get(URI('${origin}/'))`],
    avoidsLoopback: true,
    fix: 'A Net::HTTP with ca_file or with nil as its proxy goes its own way: take that out.',
  },
  {
    name: 'deno',
    program: 'deno',
    version: ['--version'],
    request: (origin) => ['eval', `console.log(await (await fetch('${origin}/')).text())`],
    fix: 'Keep DENO_CERT and HTTPS_PROXY as `sallyport run` sets them, and leave DENO_TLS_CA_STORE out.',
  },
  {
    name: 'npm',
    program: 'npm',
    version: ['--version'],
    request: (origin, directory) => [
      'view',
      'sallyport-doctor',
      'description',
      '--registry',
      `${origin}/npm/`,
      '--cache',
      directory,
      '--fetch-retries=0',
    ],
    fix: '`npm config ls -l` shows proxy, noproxy and cafile; what an .npmrc of the project says comes after the variables.',
  },
  {
    name: 'pip',
    program: 'python3',
    version: ['-m', 'pip', '--version'],
    request: (origin, directory) => [
      '-m',
      'pip',
      'download',
      '--no-deps',
      '--no-cache-dir',
      '--retries=0',
      '--disable-pip-version-check',
      '-d',
      directory,
      '-i',
      `${origin}/simple/`,
      'sallyport-doctor',
    ],
    expect: 'sallyport_doctor-1.0.0',
    absent: 'No module named pip',
    fix: '`python3 -m pip config list` shows proxy and cert settings that stand in the way.',
  },
  {
    name: 'aws',
    program: 'aws',
    version: ['--version'],
    request: (origin) => [
      's3api',
      'list-buckets',
      '--no-sign-request',
      '--region',
      'us-east-1',
      '--output',
      'text',
      '--endpoint-url',
      `${origin}/s3`,
    ],
    absent: 'command not found',
    fix: 'A ca_bundle in ~/.aws/config comes before AWS_CA_BUNDLE only with --ca-bundle; take `proxy` settings out of the profile.',
  },
];

/** What shows that the request of a client got through. */
export function expected(client: Client): string {
  return client.expect ?? marker;
}

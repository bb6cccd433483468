import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { jwtVerify } from 'jose';
import { openBytes, sealBytes } from './aes-gcm.js';
import { type CloudAnswer, type CloudRequest, type CloudServer, startCloudServer } from './cloud-server.test.support.js';
import { crc32c } from './gcp-crc32c.js';

/** The key of Google Cloud KMS in these tests. */
export const GCP_KMS_KEY = 'projects/p-1/locations/europe-west1/keyRings/ring/cryptoKeys/app';
const EMAIL = 'sallyport@p-1.iam.gserviceaccount.com';

/**
 * The few calls of Google Cloud that are made: the token endpoint and the metadata server, Secret Manager with the secret `app` of the project
 * `p-1`, and KMS with `GCP_KMS_KEY`, with real encryption.
 */
export interface TestGcp extends CloudServer {
  /** The JSON of a service account whose tokens come from here. */
  readonly credentials: string;
  /** How often a token was asked for. */
  tokensIssued(): number;
  /** No token that was given out is valid any more. */
  revokeTokens(): void;
  write(secret: string): void;
  rotate(): void;
  /** Damages the named member of the next answer that has it, behind the checksum's back. */
  damageNext(member: string): void;
  /** Damages the named member of the next request that has it, as if on the way here. */
  damageNextRequest(member: string): void;
}

/** One for all that are started in a process: it takes a while to make. */
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

type Input = Readonly<Record<string, string>>;

const refusal = (status: number, name: string): CloudAnswer => ({ status, body: { error: { code: status, status: name, message: 'no' } } });

function flipped(base64: string | undefined): string {
  const bytes = Buffer.from(base64 ?? '', 'base64');
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return bytes.toString('base64');
}

/** Starts one. The key has its first version, the secret none. */
export async function startGcp(): Promise<TestGcp> {
  const tokens = new Map<string, string>();
  let issued = 0;
  const secrets: string[] = [];
  const versions: KeyObject[] = [createSecretKey(randomBytes(32))];
  const damaged: string[] = [];
  const damagedRequests: string[] = [];

  function issue(scope: string): CloudAnswer {
    issued += 1;
    const token = `ya29.${randomBytes(16).toString('hex')}`;
    tokens.set(token, scope);
    return { status: 200, body: { access_token: token, expires_in: 3599, token_type: 'Bearer' } };
  }

  async function exchange(body: URLSearchParams, audience: string): Promise<CloudAnswer> {
    if (body.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return refusal(400, 'unsupported_grant_type');
    try {
      const required = ['iss', 'aud', 'iat', 'exp', 'scope'];
      const options = { issuer: EMAIL, audience, algorithms: ['RS256'], requiredClaims: required, maxTokenAge: '1h' } as const;
      const { payload, protectedHeader } = await jwtVerify(body.get('assertion') ?? '', publicKey, { ...options, algorithms: ['RS256'] });
      return protectedHeader.kid === 'key-1' ? issue(String(payload.scope)) : refusal(400, 'invalid_grant');
    } catch {
      return refusal(400, 'invalid_grant');
    }
  }

  function access(asked: string): CloudAnswer {
    const version = asked === 'latest' ? secrets.length : Number(asked);
    const secret = secrets[version - 1];
    if (secret === undefined) return refusal(404, 'NOT_FOUND');
    const data = Buffer.from(secret);
    const payload = { data: data.toString('base64'), dataCrc32c: String(crc32c(data)) };
    return { status: 200, body: { name: `projects/4711/secrets/app/versions/${version}`, payload } };
  }

  const versionName = (index: number): string => `${GCP_KMS_KEY}/cryptoKeyVersions/${index + 1}`;
  const intact = (input: Input, name: string): boolean => String(crc32c(Buffer.from(input[name] ?? '', 'base64'))) === input[`${name}Crc32c`];

  function encrypt(input: Input): CloudAnswer {
    const index = versions.length - 1;
    const key = versions[index];
    if (key === undefined) return refusal(404, 'NOT_FOUND');
    const [plaintext, associated] = [input.plaintext, input.additionalAuthenticatedData].map((text) => Buffer.from(text ?? '', 'base64'));
    const sealed = sealBytes(key, plaintext ?? Buffer.alloc(0), associated ?? Buffer.alloc(0));
    const ciphertext = Buffer.concat([Buffer.from([index]), sealed]);
    const verified = {
      verifiedPlaintextCrc32c: intact(input, 'plaintext'),
      verifiedAdditionalAuthenticatedDataCrc32c: intact(input, 'additionalAuthenticatedData'),
    };
    const checksum = { ciphertextCrc32c: String(crc32c(ciphertext)) };
    return { status: 200, body: { name: versionName(index), ciphertext: ciphertext.toString('base64'), ...checksum, ...verified } };
  }

  function decrypt(input: Input): CloudAnswer {
    if (!intact(input, 'ciphertext') || !intact(input, 'additionalAuthenticatedData')) return refusal(400, 'INVALID_ARGUMENT');
    const ciphertext = Buffer.from(input.ciphertext ?? '', 'base64');
    const key = versions[ciphertext[0] ?? 0];
    try {
      if (key === undefined) return refusal(400, 'FAILED_PRECONDITION');
      const plaintext = openBytes(key, ciphertext.subarray(1), Buffer.from(input.additionalAuthenticatedData ?? '', 'base64'));
      return { status: 200, body: { plaintext: plaintext.toString('base64'), plaintextCrc32c: String(crc32c(plaintext)) } };
    } catch {
      return refusal(400, 'INVALID_ARGUMENT');
    }
  }

  function kms(action: string, body: Buffer): CloudAnswer {
    if (action === '') return { status: 200, body: { name: GCP_KMS_KEY, primary: { name: versionName(versions.length - 1), state: 'ENABLED' } } };
    const input = { ...(JSON.parse(body.toString()) as Input) };
    const [name = ''] = damagedRequests;
    if (Object.hasOwn(input, name)) {
      input[name] = flipped(input[name]);
      damagedRequests.shift();
    }
    return action === ':encrypt' ? encrypt(input) : decrypt(input);
  }

  function service(request: CloudRequest, path: string, token: string): CloudAnswer {
    const scope = tokens.get(token);
    if (scope === undefined) return refusal(401, 'UNAUTHENTICATED');
    const secret = /^\/v1\/projects\/p-1\/secrets\/app\/versions\/([a-z0-9]+):access$/.exec(path)?.[1];
    const whole = 'https://www.googleapis.com/auth/cloud-platform';
    if (secret !== undefined) return scope === whole ? access(secret) : refusal(403, 'PERMISSION_DENIED');
    if (scope !== whole && scope !== 'https://www.googleapis.com/auth/cloudkms') return refusal(403, 'PERMISSION_DENIED');
    const [key, action = ''] = path.slice('/v1/'.length).split(/(?=:(?:encrypt|decrypt)$)/);
    return key === GCP_KMS_KEY ? kms(action, request.body) : refusal(404, 'NOT_FOUND');
  }

  function damage(answer: CloudAnswer): CloudAnswer {
    const [name = ''] = damaged;
    const body = answer.body as Record<string, unknown>;
    const holder = [body, body.payload as Record<string, unknown> | undefined].find((each) => each !== undefined && Object.hasOwn(each, name));
    if (holder === undefined) return answer;
    damaged.shift();
    holder[name] = flipped(String(holder[name]));
    return answer;
  }

  const server = await startCloudServer(async (request) => {
    const url = new URL(request.url, `http://${request.headers.host}`);
    if (url.pathname === '/token') return exchange(new URLSearchParams(request.body.toString()), url.href);
    if (url.pathname.startsWith('/computeMetadata/v1')) {
      if (request.headers['metadata-flavor'] !== 'Google') return refusal(403, 'PERMISSION_DENIED');
      const answer = url.pathname.endsWith('/token') ? issue(url.searchParams.get('scopes') ?? '') : { status: 200, body: {} };
      return { ...answer, headers: { 'metadata-flavor': 'Google' } };
    }
    return damage(service(request, url.pathname, (request.headers.authorization ?? '').replace(/^Bearer /, '')));
  });
  const account = { type: 'service_account', client_email: EMAIL, private_key_id: 'key-1', token_uri: `${server.address}/token` };
  return {
    ...server,
    credentials: JSON.stringify({ ...account, private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }),
    tokensIssued: () => issued,
    revokeTokens: () => tokens.clear(),
    write: (secret) => void secrets.push(secret),
    rotate: () => void versions.push(createSecretKey(randomBytes(32))),
    damageNext: (name) => void damaged.push(name),
    damageNextRequest: (name) => void damagedRequests.push(name),
  };
}

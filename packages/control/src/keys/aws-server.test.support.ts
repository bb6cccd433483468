import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes, randomUUID } from 'node:crypto';
import { openBytes, sealBytes } from './aes-gcm.js';
import { type CloudAnswer, type CloudRequest, type CloudServer, startCloudServer } from './cloud-server.test.support.js';

/** A caller that the servers know. */
export const awsCaller = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'aws-secret-access-key' } as const;
const REGION = 'eu-central-1';
const ACCOUNT = `arn:aws:kms:${REGION}:111122223333:`;

/** The few calls of AWS KMS that are made, with real encryption under keys that are rotated. */
export interface TestAwsKms extends CloudServer {
  /** The ARN of a new key with its first material. */
  addKey(): string;
  /** Another material for the key; what the older ones encrypted still opens. */
  rotate(arn: string): void;
  pointAlias(alias: string, arn: string): void;
}

/** The few calls of AWS Secrets Manager that are made. The secret is `app/key`. */
export interface TestAwsSecrets extends CloudServer {
  readonly arn: string;
  write(secret: string | Buffer): string;
  /** As AWS does with versions that have no label any more. */
  forgetOldest(): void;
}

const refusal = (type: string): CloudAnswer => ({ status: 400, body: { __type: `com.amazonaws#${type}`, message: 'no' } });
const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();

/**
 * Whether the signature of a request (Signature Version 4) is that of `awsCaller` over exactly this request for this service, and what decides
 * about its meaning is part of what is signed. Written from the specification with nothing of the SDK, which would only agree with itself.
 */
function signed(request: CloudRequest, service: string): boolean {
  const { headers, body } = request;
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([0-9]{8})\/([a-z0-9-]+)\/([a-z]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;
  const [, id, day = '', region, called, names = '', signature] = pattern.exec(headers.authorization ?? '') ?? [];
  const time = String(headers['x-amz-date']);
  if (id !== awsCaller.access_key_id || region !== REGION || called !== service || !time.startsWith(day)) return false;
  if (Math.abs(Date.parse(time.replace(/^(....)(..)(..T..)(..)(..)Z$/, '$1-$2-$3:$4:$5Z')) - Date.now()) > 900_000) return false;
  const list = names.split(';');
  if (['host', 'x-amz-date', 'x-amz-target'].some((name) => !list.includes(name))) return false;
  const fields = list.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}\n`).join('');
  const [path = '', query = ''] = request.url.split('?');
  const canonical = [request.method, path, query, fields, names, sha256(body)].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = [region, service, 'aws4_request'].reduce(hmac, hmac(`AWS4${awsCaller.secret_access_key}`, day));
  return hmac(key, text).toString('hex') === signature;
}

function startAws(service: string, target: string, call: (action: string, input: Readonly<Record<string, unknown>>) => CloudAnswer) {
  return startCloudServer((request) => {
    const [prefix, action = ''] = String(request.headers['x-amz-target']).split('.');
    if (!signed(request, service)) return { status: 403, body: { __type: 'InvalidSignatureException', message: awsCaller.secret_access_key } };
    if (prefix !== target) return refusal('UnknownOperationException');
    return call(action, JSON.parse(request.body.toString()) as Readonly<Record<string, unknown>>);
  });
}

/** Starts one without keys. */
export async function startAwsKms(): Promise<TestAwsKms> {
  const keys = new Map<string, { readonly name: string; readonly material: KeyObject }[]>();
  const aliases = new Map<string, string>();
  const material = () => ({ name: randomBytes(32).toString('hex'), material: createSecretKey(randomBytes(32)) });
  const arnOf = (id: unknown): string => {
    const asked = String(id);
    const whole = asked.startsWith('arn:') ? asked : `${ACCOUNT}${asked.startsWith('alias/') ? asked : `key/${asked}`}`;
    return aliases.get(whole.slice(ACCOUNT.length)) ?? whole;
  };
  /** What is bound: the pairs of the context in the order of their names. */
  const bound = (context: unknown): Buffer =>
    Buffer.from(JSON.stringify(Object.entries(context ?? {}).toSorted(([one], [other]) => (one < other ? -1 : 1))));

  function decrypt(arn: string, blob: Buffer, context: unknown): CloudAnswer {
    const [length = 0, index = 0] = blob;
    const madeBy = blob.subarray(2, 2 + length).toString();
    const used = keys.get(madeBy)?.[index];
    if (used === undefined) return refusal('InvalidCiphertextException');
    if (madeBy !== arn) return refusal('IncorrectKeyException');
    try {
      const plaintext = openBytes(used.material, blob.subarray(2 + length), bound(context));
      return { status: 200, body: { Plaintext: plaintext.toString('base64'), KeyId: arn } };
    } catch {
      return refusal('InvalidCiphertextException');
    }
  }

  const server = await startAws('kms', 'TrentService', (action, input) => {
    const arn = arnOf(input.KeyId);
    const [...materials] = keys.get(arn) ?? [];
    const newest = materials.at(-1);
    if (newest === undefined) return refusal('NotFoundException');
    if (action === 'DescribeKey') return { status: 200, body: { KeyMetadata: { KeyId: arn, Arn: arn, CurrentKeyMaterialId: newest.name } } };
    if (action === 'Decrypt') return decrypt(arn, Buffer.from(String(input.CiphertextBlob), 'base64'), input.EncryptionContext);
    if (action !== 'Encrypt') return refusal('UnknownOperationException');
    const sealed = sealBytes(newest.material, Buffer.from(String(input.Plaintext), 'base64'), bound(input.EncryptionContext));
    const blob = Buffer.concat([Buffer.from([arn.length, materials.length - 1]), Buffer.from(arn), sealed]);
    return { status: 200, body: { CiphertextBlob: blob.toString('base64'), KeyId: arn } };
  });
  return {
    ...server,
    addKey() {
      const arn = `${ACCOUNT}key/${randomUUID()}`;
      keys.set(arn, [material()]);
      return arn;
    },
    rotate: (arn) => void keys.get(arn)?.push(material()),
    pointAlias: (alias, arn) => void aliases.set(alias, arn),
  };
}

/** Starts one whose secret has no version yet. */
export async function startAwsSecrets(): Promise<TestAwsSecrets> {
  const arn = `arn:aws:secretsmanager:${REGION}:111122223333:secret:app/key-AbCdEf`;
  const versions: { readonly id: string; readonly value: Readonly<Record<string, string>> }[] = [];
  const server = await startAws('secretsmanager', 'secretsmanager', (action, input) => {
    if (action !== 'GetSecretValue') return refusal('UnknownOperationException');
    const { SecretId: secret, VersionId: id, VersionStage: stage } = input;
    const found = id === undefined && stage === 'AWSCURRENT' ? versions.at(-1) : versions.find((version) => version.id === id);
    if ((secret !== 'app/key' && secret !== arn) || found === undefined) return refusal('ResourceNotFoundException');
    return { status: 200, body: { ARN: arn, Name: 'app/key', VersionId: found.id, ...found.value } };
  });
  return {
    ...server,
    arn,
    write(secret) {
      const id = randomUUID();
      versions.push({ id, value: typeof secret === 'string' ? { SecretString: secret } : { SecretBinary: secret.toString('base64') } });
      return id;
    },
    forgetOldest: () => void versions.shift(),
  };
}

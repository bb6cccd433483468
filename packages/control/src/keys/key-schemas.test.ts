import { expect, test } from 'vitest';
import { z } from 'zod';
import { authorityOf } from '../permissions/authority.js';
import { everything } from '../permissions/permission.js';
import { redactionOf } from '../server/redaction.js';
import { keyData } from './key-schemas.js';
import { parseProviderConfig, publicKeyData } from './provider-config.js';

const secret = 'dGhlLXNlY3JldA==';
const account = JSON.stringify({
  ...{ type: 'service_account', client_email: 'a@b', private_key: secret, private_key_id: secret, token_uri: 'https://oauth2.googleapis.com/token' },
});
const aws = {
  aws_region: 'eu-central-1',
  aws_credentials: { type: 'access_key', access_key_id: 'AKIA', secret_access_key: secret, session_token: secret },
};
const vault = { vault_address: 'https://vault.example', vault_token: secret };
const forms: readonly Readonly<Record<string, unknown>>[] = [
  { value: secret },
  { base64: secret },
  { ...vault, vault_path: 'a/b' },
  { ...vault, vault_transit_key_name: 'k' },
  { ...aws, aws_secret_id: 'a/b' },
  { ...aws, aws_kms_key_id: 'alias/x' },
  { gcp_project: 'p', gcp_secret_name: 's', gcp_credentials_json: account },
  { gcp_kms_key_name: 'projects/p/locations/l/keyRings/r/cryptoKeys/k', gcp_credentials_json: account },
];

test.each(forms)('of %j no secret is shown, and everything else is', (form) => {
  const result = z.object({ namespace: z.string(), key_data: keyData });
  const redaction = redactionOf({ result });
  const { type: _, ...members } = parseProviderConfig(form);
  const shown = { namespace: 'root.a', key_data: members };
  const { body, redacted } = redaction.mask(shown, null);
  const text = JSON.stringify(result.parse(body));
  expect(redacted).toBe(true);
  expect(text).not.toContain(secret);
  expect(Object.keys(z.parse(result, body).key_data).toSorted()).toEqual(Object.keys(members).toSorted());
  // What the one knows as public and what the other leaves are the same.
  expect(z.parse(result, body).key_data).toMatchObject(publicKeyData(parseProviderConfig(form)));
  expect(JSON.stringify(publicKeyData(parseProviderConfig(form)))).not.toContain(secret);
  expect(redaction.mask(shown, authorityOf(everything)).body).toEqual(shown);
});

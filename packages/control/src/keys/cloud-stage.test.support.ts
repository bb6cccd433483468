import { awsCaller, startAwsKms, startAwsSecrets } from './aws-server.test.support.js';
import type { CloudServer } from './cloud-server.test.support.js';
import { GCP_KMS_KEY, startGcp } from './gcp-server.test.support.js';
import type { ProviderType } from './provider.js';

/** A cloud with one key or secret in it. */
export interface CloudStage {
  readonly server: CloudServer;
  /** The key data that points at it, with credentials of its own. */
  readonly keyData: Readonly<Record<string, unknown>>;
  /** What no error and no public form may show. */
  readonly secrets: readonly string[];
  /** New material at the provider. */
  rotate(): void;
}

const aws = { aws_region: 'eu-central-1', aws_credentials: { type: 'access_key', ...awsCaller } };

/** Every cloud provider, with how its cloud is started here. */
export const cloudStages: readonly (readonly [ProviderType, () => Promise<CloudStage>])[] = [
  [
    'aws_secrets_manager',
    async () => {
      const server = await startAwsSecrets();
      server.write('aws material, version 1');
      let version = 1;
      return {
        server,
        keyData: { ...aws, aws_secret_id: 'app/key', aws_secrets_manager_endpoint: server.address },
        secrets: [awsCaller.secret_access_key, 'aws material'],
        rotate() {
          version += 1;
          server.write(`aws material, version ${version}`);
        },
      };
    },
  ],
  [
    'aws_kms',
    async () => {
      const server = await startAwsKms();
      const arn = server.addKey();
      const keyData = { ...aws, aws_kms_key_id: arn, aws_kms_endpoint: server.address };
      return { server, keyData, secrets: [awsCaller.secret_access_key], rotate: () => server.rotate(arn) };
    },
  ],
  [
    'gcp',
    async () => {
      const server = await startGcp();
      server.write('gcp material, version 1');
      let version = 1;
      const keyData = { gcp_project: 'p-1', gcp_secret_name: 'app', gcp_secret_manager_endpoint: server.address };
      return {
        server,
        keyData: { ...keyData, gcp_credentials_json: server.credentials },
        secrets: ['PRIVATE KEY', 'gcp material', 'ya29.'],
        rotate() {
          version += 1;
          server.write(`gcp material, version ${version}`);
        },
      };
    },
  ],
  [
    'gcp_kms',
    async () => {
      const server = await startGcp();
      const keyData = { gcp_kms_key_name: GCP_KMS_KEY, gcp_kms_endpoint: server.address, gcp_credentials_json: server.credentials };
      return { server, keyData, secrets: ['PRIVATE KEY', 'ya29.'], rotate: () => server.rotate() };
    },
  ],
];

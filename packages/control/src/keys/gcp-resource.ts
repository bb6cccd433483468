/** The ways to name a key of Google Cloud KMS. */
interface GcpKmsKeyParts {
  readonly gcp_kms_key_name?: string | undefined;
  readonly gcp_project?: string | undefined;
  readonly gcp_location?: string | undefined;
  readonly gcp_key_ring?: string | undefined;
  readonly gcp_crypto_key?: string | undefined;
}

/** The resource name of a key, given whole or in its four parts; null when parts are missing, or when both are there. */
export function gcpKmsKeyName(config: GcpKmsKeyParts): string | null {
  const { gcp_kms_key_name: name, gcp_project: project, gcp_location: location, gcp_key_ring: ring, gcp_crypto_key: key } = config;
  const parts = [project, location, ring, key];
  if (name !== undefined) return parts.every((part) => part === undefined) ? name : null;
  return parts.includes(undefined) ? null : `projects/${project}/locations/${location}/keyRings/${ring}/cryptoKeys/${key}`;
}

/** The resource name of a secret of Google Cloud Secret Manager. */
export function gcpSecretResource(project: string, name: string): string {
  return `projects/${project}/secrets/${name}`;
}

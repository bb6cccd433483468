import { generateKeyPairSync } from 'node:crypto';

const { publicKey } = generateKeyPairSync('ed25519');
const PUBLIC_KEY = JSON.stringify(publicKey.export({ type: 'spki', format: 'pem' }));
const SHARED_KEY = `zq-${'a'.repeat(61)}`;
const PERMISSION = '{ namespace: root.a, resources: [connections], verbs: [proxy], resource_ids: [x], methods: [GET], paths: [/a/**] }';
const EVERYWHERE = `host: 127.0.0.1
      health_port: 0
      trusted_proxies: [10.0.0.0/8]
      cors: { allowed_origins: [https://b.example], max_age: 12h }`;

/** Holds every key that there is, but for forms of the global key beyond one. What is secret in it begins with `zq-`. */
export const FULL = `
control:
  database:
    provider: postgres
    host: db.example
    port: 5432
    user: me
    password: zq-the-password
    database: sallyport
    sslmode: verify-full
    ca: /dev/null
    max_connections: 10
    connect_timeout: 10s
    statement_timeout: 30s
  services:
    public:
      ${EVERYWHERE}
      port: 8080
      base_url: https://a.example
      tls: { cert: /dev/null, key: /dev/null }
      cookie: { domain: a.example, same_site: none }
      session_timeout: 1h
      session_lifetime: 12h
    api:
      ${EVERYWHERE}
      port: 8081
      base_url: https://a.example
      tls:
        acme:
          directory_url: https://acme.example/directory
          email: me@a.example
          accept_tos: true
          hosts: [a.example]
          dir: /var/acme
          renew_before: 30d
          http_host: 0.0.0.0
          http_port: 80
          eab: { kid: x, hmac_key: zq-aaaaaaaaaaaaaaaaaaaa }
          ca: /dev/null
    admin_api:
      ${EVERYWHERE}
      port: 8082
      base_url: https://localhost:8082
      tls: { self_signed: { dir: /var/tls, domain: a.example } }
      cookie: { same_site: strict }
      session_timeout: 1h
      session_lifetime: 12h
    worker: { host: 127.0.0.1, port: 8083 }
  system_auth:
    global_key:
      aws_kms_key_id: alias/sallyport
      aws_region: eu-central-1
      aws_kms_endpoint: https://kms.example
      aws_credentials: { type: access_key, access_key_id: x, secret_access_key: zq-aws-key, session_token: zq-aws-token }
      cache_ttl: 1m
    previous_global_keys:
      - { value: zq-a-key-that-was-before }
      - { base64: enEtYS1rZXktdGhhdC13YXMtYmVmb3Jl }
      - { env_var: LONG }
      - { env_var_base64: LONG }
      - { path: /dev/null }
      - { vault_address: https://vault.example, vault_token: zq-vault, vault_namespace: a, vault_path: a/b, vault_mount_path: kv, vault_key: k }
      - { vault_address: https://vault.example, vault_token: zq-vault, vault_transit_key_name: a, vault_transit_mount_path: transit }
      - { aws_secret_id: a, aws_secret_key: k, aws_region: eu-central-1, aws_secrets_manager_endpoint: https://sm.example, aws_credentials: { type: implicit } }
      - { gcp_project: p, gcp_secret_name: s, gcp_secret_version: latest, gcp_secret_manager_endpoint: https://sm.example, gcp_credentials_file: /x }
      - { gcp_project: p, gcp_location: global, gcp_key_ring: r, gcp_crypto_key: k, gcp_kms_endpoint: https://kms.example }
    key_providers:
      - namespaces: [root.**]
        providers: [env_var, file, hashicorpvault, aws_kms]
        env: [KEY_*]
        folders: [/etc/keys]
        vault_addresses: [https://vault.example]
        ambient_resources: ["eu-central-1/alias/*"]
        cloud_endpoints: [https://kms.example]
    data_encryption_keys: { rotation_interval: 90d, destroy_after: 7d }
    jwt_issuer: sallyport
    token_lifetime: 1h
    actor_token_lifetime: 1h
    clock_leeway: 30s
    issuers:
      - { issuer: https://a.example, jwks_url: https://a.example/jwks, namespace: root.a, longest_life: 5m, single_use: true }
      - { issuer: b, keys: [{ public_key: ${PUBLIC_KEY}, kid: x }], defines_actors_within: [${PERMISSION}] }
      - { issuer: c, keys: [{ shared_key: ${SHARED_KEY}, kid: x, algorithm: HS256 }] }
    actors:
      - external_id: ci
        namespace: root.a
        public_keys: ${PUBLIC_KEY}
        permissions: [${PERMISSION}]
        labels: { team: a }
        annotations: { note: x }
    actor_directories:
      root.ops: { keys_path: /etc/keys, permissions: [${PERMISSION}] }
    actor_sync_schedule: "*/5 * * * *"
  host_application: { initiate_session_url: https://app.example/sign-in, return_urls: [https://app.example] }
  sign_in:
    providers:
      okta:
        issuer: https://okta.example
        client_id: me
        client_secret: zq-the-client-secret
        scopes: [openid, groups]
        namespace: root
        roles:
          - { claim: groups, contains: admins, namespace: root.a, permissions: [${PERMISSION}], labels: { team: a } }
          - { claim: role, equals: admin, permissions: [] }
        external_id_claim: sub
        label_claims: { mail: email }
        userinfo: true
        max_age: 1h
        allow_insecure: false
  redis: { url: "rediss://me:zq-redis@redis.example:6379", ca: /dev/null, prefix: sallyport }
  rate_limits:
    actor: { requests: 1, per: 1s }
    address: { requests: 1, per: 1s }
    failed_authentication: { requests: 1, per: 1s }
  tasks: { concurrency: 4, retention: 7d, dead_retention: 90d }
  retention: { soft_deleted: 30d, idempotency_keys: 1d, audit: 365d }
  log: { level: info, file: /var/log/control.log }
  shutdown: { drain: 30s }
`;

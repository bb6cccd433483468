/** What is the same for every occurrence of a code. `status` is the HTTP status of a refusal, 0 where no client is there to answer. */
export interface CatalogueEntry {
  readonly status: number;
  readonly title: string;
  readonly hint: string;
}

function entry(status: number, title: string, hint: string): CatalogueEntry {
  return { status, title, hint };
}

/**
 * Every stable error code with its status, its title and the sentence that says what to do. This table is the contract:
 * `X-Sallyport-Error`, the problem document, the log, the metrics and `docs/errors.md` all read it. A code is never reused or renamed.
 */
export const errorCatalogue = {
  // Messages that the wire refuses (RFC 9112).
  request_malformed: entry(
    400,
    'The request is not well-formed HTTP/1.1',
    'Send a request that follows RFC 9112; the detail names the byte that does not.',
  ),
  request_framing_ambiguous: entry(
    400,
    'The length of the request body is ambiguous',
    'Send either one Content-Length or one `Transfer-Encoding: chunked`, never both and never twice.',
  ),
  request_head_too_large: entry(
    431,
    'The request head is larger than the limit',
    'Send fewer or shorter header fields, or raise `limits.head_size` or `limits.header_count`.',
  ),
  request_trailers_refused: entry(
    400,
    'The trailer section holds a field that may not be there',
    'Move framing, routing and credential fields from the trailers to the head.',
  ),
  request_version_unsupported: entry(505, 'The HTTP version is not supported on this listener', 'Use HTTP/1.1 or HTTP/1.0.'),
  request_target_unsupported: entry(
    400,
    'This door does not speak this form of request target',
    'The forward proxy takes CONNECT and absolute URLs; the sidecar takes a path.',
  ),
  not_found: entry(404, 'There is nothing at this path', 'The paths of this listener are listed in docs/doors.md.'),
  method_not_allowed: entry(405, 'This path does not answer this method', 'Use one of the methods in the Allow header.'),

  // Identify.
  caller_required: entry(
    407,
    'This gateway needs to know who is asking',
    'Send the caller token in Proxy-Authorization: put it in the proxy URL, as in http://any:TOKEN@host:9080.',
  ),
  caller_unknown: entry(407, 'The caller token is not known', 'Use a token named under `gateway.callers`, or one that `sallyport run` handed out.'),
  caller_throttled: entry(
    429,
    'Too many failed attempts to identify from this address',
    'Wait for the time in Retry-After, then try again with a valid token.',
  ),

  // Admit.
  target_missing: entry(400, 'The request names no target', 'Send the target as an absolute URL; on the sidecar in the X-Connect-Target-URL header.'),
  target_invalid: entry(400, 'The target is not a URL that can be called', 'Send an absolute http or https URL with a valid host and port.'),
  target_path_ambiguous: entry(
    400,
    'The target path can be read in more than one way',
    'Send a path without dot segments, encoded or not, and without backslashes.',
  ),
  context_data_invalid: entry(400, 'The context data cannot be decoded', 'Send standard Base64 of a JSON object.'),
  insecure_target: entry(
    400,
    'The target is not HTTPS',
    'Call the https:// address, or set `insecure_targets: true` on the listener for a network that you trust.',
  ),
  policy_denied: entry(
    403,
    'The policy does not let this request out',
    'Add a rule that allows it; `sallyport config explain METHOD URL` shows what is missing.',
  ),
  address_denied: entry(
    403,
    'The host resolves to an address that may not be called',
    'If the address is meant to be reached, name its network in the rule: `allow HOST to CIDR`.',
  ),
  misdirected_request: entry(
    421,
    'The request is for another host than the connection was opened to',
    'Open a connection to the host that the request names.',
  ),
  plaintext_credential_refused: entry(
    403,
    'A credential would have to travel unencrypted',
    'Call the https:// address, or set `plaintext: true` on the binding for a network that you trust.',
  ),
  limit_exceeded: entry(503, 'The gateway is at its limit', 'Try again later, or raise the limit that the detail names.'),

  // Select, resolve, inject.
  credential_ambiguous: entry(
    400,
    'Several credentials fit this request equally well',
    'Make one binding more specific by path or method, or give the caller only one of the candidates.',
  ),
  credential_unavailable: entry(
    502,
    'The credential could not be obtained',
    'The gateway log says why the source failed; `sallyport config check --sources` tries each source.',
  ),
  credential_unusable: entry(
    502,
    'The credential cannot be placed into a request',
    'The material holds a character that a header or URL cannot carry; correct it at its source.',
  ),

  // Forward.
  upstream_dns_failed: entry(
    502,
    'The name of the upstream does not resolve',
    'Check the host name and the resolver of the machine that the gateway runs on.',
  ),
  upstream_refused: entry(
    502,
    'The upstream refused the connection',
    'Check that the upstream listens on that port and that no firewall is in between.',
  ),
  upstream_unreachable: entry(502, 'There is no route to the upstream', 'Check the network between the gateway and the upstream.'),
  upstream_reset: entry(
    502,
    'The upstream closed the connection before it answered',
    'Try again if the request may be repeated; look into the log of the upstream.',
  ),
  upstream_connect_timeout: entry(504, 'The upstream did not accept the connection in time', 'Check the network, or raise `timeouts.connect`.'),
  upstream_tls_timeout: entry(
    504,
    'The TLS handshake with the upstream did not finish in time',
    'Check that the port speaks TLS, or raise `timeouts.tls_handshake`.',
  ),
  upstream_tls_expired: entry(
    502,
    'The certificate of the upstream has expired or is not valid yet',
    'Renew the certificate of the upstream, and check the clock of this machine.',
  ),
  upstream_tls_name_mismatch: entry(
    502,
    'The certificate of the upstream is for another name',
    'Call the upstream by a name that its certificate carries.',
  ),
  upstream_tls_untrusted: entry(
    502,
    'The certificate of the upstream is not signed by an authority that is trusted here',
    'Add the authority of the upstream to `gateway.upstream.ca`.',
  ),
  upstream_tls_failed: entry(502, 'The TLS handshake with the upstream failed', 'Check that the port speaks TLS 1.2 or newer.'),
  upstream_response_timeout: entry(504, 'The upstream did not answer in time', 'Raise `timeouts.response_head` if the upstream is known to be slow.'),
  upstream_response_malformed: entry(
    502,
    'The answer of the upstream is not well-formed HTTP/1.1',
    'Look at the upstream: it sends a response that can be read in more than one way.',
  ),
  upstream_idle_timeout: entry(
    504,
    'The upstream fell silent in the middle of its answer',
    'Raise `timeouts.idle` if the upstream is known to pause for longer.',
  ),
  total_timeout: entry(504, 'The exchange took longer than the total time allowed', 'Raise `timeouts.total` or take it out.'),

  // The client's side of an exchange; the first two may still be answered, the others find nobody there.
  client_head_timeout: entry(408, 'The request head did not arrive in time', 'Send the whole head at once, or raise `timeouts.head`.'),
  client_idle_timeout: entry(
    408,
    'The client fell silent in the middle of its request',
    'Raise `timeouts.idle` if the client is known to pause for longer.',
  ),
  client_aborted: entry(0, 'The client went away before the exchange was finished', 'Nothing to do here; look at the client.'),
  client_tls_failed: entry(
    0,
    'The TLS handshake with the client failed',
    'Make the client trust the Sallyport authority: `sallyport ca path` says where it is.',
  ),

  // Plugins.
  plugin_load_failed: entry(
    0,
    'The plugin cannot be used',
    'The detail names the file and what is wrong with it; docs/plugins.md shows a whole plugin.',
  ),
  plugin_failed: entry(500, 'The plugin failed', 'The gateway log has the error of the plugin under the request id.'),
  plugin_timeout: entry(504, 'The plugin did not answer in time', 'Raise `plugin.timeout` if the plugin is known to be slow.'),
  plugin_result_invalid: entry(500, 'The plugin answered something that is not valid', 'Run the compliance kit of the SDK over the plugin.'),
  body_too_large: entry(
    413,
    'The body is larger than what a plugin may hold',
    'Raise `limits.plugin_body`, or let the plugin work without the body.',
  ),

  // Routes, mappings and forward targets.
  route_invalid: entry(0, 'A route or a mapping rule cannot be used', 'Correct what the detail names; docs/routing.md shows what a route may say.'),
  context_data_missing: entry(400, 'A field of the context data is missing', 'Send the field, or configure a mapping that provides it.'),
  context_data_field_invalid: entry(400, 'A field of the context data is not a text', 'Send the field as a text that is not empty.'),
  route_not_found: entry(500, 'No route matched', 'Add a route for this call, or a default.'),
  mapping_not_found: entry(500, 'No mapping rule matched', 'Add a rule for this call; a rule without fields matches everything.'),
  forward_unexpected: entry(500, 'The matched route is a forward', 'Ask `routeRequest` before `getCredentials`.'),
  provider_missing: entry(500, 'The matched route has no provider', 'Give the route a provider.'),
  credential_not_bound: entry(
    500,
    'The credential of the provider is not bound to this host',
    'Add the host to a binding of the credential, or let the route match only the hosts that it is bound to.',
  ),
  forward_target_unknown: entry(500, 'The route names a forward target that is not configured', 'Add it under `gateway.forward_targets`.'),
  forward_target_unavailable: entry(502, 'The forward target cannot be reached', 'Check that the target is up; the gateway log has the reason.'),

  // Grants and token stores.
  token_not_found: entry(502, 'No refresh token is stored under this key', 'Run `sallyport onboard` once to obtain and store it.'),
  token_store_failed: entry(
    502,
    'The store of the refresh token failed',
    'Check that the store can be reached, read and written; the detail names it.',
  ),
  client_credentials_refused: entry(
    502,
    'The token endpoint does not accept the client',
    'Check the client id, the client secret or key, and the way the client authenticates; the gateway log has the error of the endpoint.',
  ),
  token_endpoint_unavailable: entry(
    502,
    'The token endpoint cannot be used at the moment',
    'Try again; check that it can be reached from this machine.',
  ),
  token_request_refused: entry(
    502,
    'The token endpoint refused the request',
    'Check scopes, resource and grant type of the client; the gateway log has the error of the endpoint.',
  ),
  token_response_invalid: entry(502, 'The answer of the token endpoint cannot be used', 'Check that the URL is that of the token endpoint.'),
  token_expired_on_arrival: entry(
    502,
    'The token would expire too soon to be used',
    'Have the token endpoint issue tokens that live longer, or make the expiry margin smaller.',
  ),
  refresh_token_refused: entry(
    502,
    'The token endpoint refused the refresh token',
    'It has expired, was revoked or belongs to another client: run `sallyport onboard` again.',
  ),
  refresh_outcome_unknown: entry(
    502,
    'The refresh token is refused after a refresh that was never answered',
    'Run `sallyport onboard` again: the answer with the next refresh token was probably lost. The record still has the earlier tokens.',
  ),
  vendor_not_found: entry(
    500,
    'No credentials are configured for this vendor',
    'Add the vendor to the credentials file, or correct the vendor id that the platform sends.',
  ),

  // Certificates, renewal and mutual TLS.
  tls_files_invalid: entry(
    0,
    'The TLS files of a listener cannot be used',
    'Correct the file that the detail names; a running gateway goes on with the ones it has.',
  ),
  client_certificate_refused: entry(
    0,
    'The client certificate was refused in the TLS handshake',
    'Give the client a certificate in force that an authority under `client_ca` has signed; docs/mutual-tls.md explains the reasons.',
  ),
  client_certificate_required: entry(
    403,
    'A client certificate is required',
    'Present the certificate of the caller; behind a balancer, let the balancer pass it on as docs/mutual-tls.md says.',
  ),
  client_certificate_unknown: entry(
    403,
    'The client certificate belongs to no caller',
    'Name its subject, one of its names or its fingerprint under `certificate` of a caller, or use `certificate: any`.',
  ),
  client_certificate_unacceptable: entry(
    403,
    'The client certificate is not acceptable, or not any more',
    'Connect again with a certificate in force that an authority under `client_ca` has signed and not revoked.',
  ),
  client_certificate_malformed: entry(
    400,
    'The header with the client certificate cannot be read',
    'Let the balancer write X-Forwarded-Client-Cert as Envoy does, or Client-Cert as RFC 9440 does, and replace what the client sent.',
  ),
  caller_ambiguous: entry(
    403,
    'The client certificate fits several callers equally well',
    'Name the certificate of one of the candidates more closely, by its fingerprint or by a name without a star.',
  ),
  proxy_untrusted: entry(
    403,
    'Only the configured balancers are served here',
    'Go through the balancer, or add the address to `trusted_proxies` of the listener.',
  ),
  certificate_unreadable: entry(
    422,
    'The certificate cannot be read',
    'Send the certificate in PEM form, with its intermediates behind it and nothing else.',
  ),
  certificate_key_mismatch: entry(
    422,
    'The certificate is for another key',
    'Have the certificate request signed that was made last; each one comes with a key of its own.',
  ),
  certificate_expired: entry(
    422,
    'The certificate has expired or is not valid yet',
    'Have a new certificate signed, and check the clocks of this machine and of the authority.',
  ),
  certificate_names_mismatch: entry(
    422,
    'The certificate is for other names',
    'Have the certificate request signed with the subject alternative names that it asks for.',
  ),
  certificate_usage_wrong: entry(
    422,
    'The certificate may not be used for this',
    'Have it signed as the certificate of a server: serverAuth, digitalSignature, and not as that of an authority.',
  ),
  certificate_chain_invalid: entry(
    422,
    'The certificates behind the certificate are not its chain',
    'Put each certificate right before the one that it is signed by.',
  ),
  certificate_untrusted: entry(
    422,
    'The certificate does not lead to an authority that is trusted here',
    'Send the intermediates along, and check which authority is configured for this listener.',
  ),
  certificate_request_invalid: entry(
    422,
    'This is not a certificate request that can be signed',
    'Send one PKCS#10 request in PEM form, as `sallyport enroll` writes it.',
  ),
  certificate_request_nameless: entry(
    422,
    'The certificate request asks for no name',
    'Make the request with subject alternative names: `sallyport enroll --domains NAME,…`.',
  ),
  certificate_name_invalid: entry(
    0,
    'This name cannot stand in a certificate',
    'Name the hosts that clients call, separated by commas, such as `--domains proxy.example.com,10.1.2.3`.',
  ),
  certificate_files_exist: entry(0, 'There are such files already', 'Choose another directory with --out, or replace the files with --force.'),
  certificate_files_failed: entry(0, 'A file cannot be read or written', 'Check the path and the rights of the user that runs Sallyport.'),
  certificate_not_persisted: entry(
    500,
    'The new certificate cannot be stored, so it was not taken into use',
    'Make the directory of the certificate and of the key writable to the gateway, then send the same certificate again.',
  ),
  signing_not_configured: entry(501, 'There is nothing here that signs certificates', 'Configure a plugin that has a `signCsr` method.'),
  renewal_disabled: entry(
    501,
    'Certificates are not renewed by the platform here',
    'Renew the certificate where it comes from, or set `auto_rotate: true` on a listener with TLS.',
  ),
  renewal_not_permitted: entry(
    403,
    'Only a caller with a client certificate may renew the certificate',
    'Call this endpoint with the client certificate of the platform.',
  ),
  renewal_request_invalid: entry(
    400,
    'The body is not a renewal',
    'Send a JSON object with the texts `renewal_id` and `certificate`, at most 64 KiB.',
  ),
  renewal_pending: entry(409, 'A renewal is under way already', 'Finish it with `/_ops/renew/install`, or wait until it has run out.'),
  renewal_unknown: entry(409, 'There is no such renewal', 'Begin a new one with `/_ops/renew/prepare`.'),
  renewal_prepare_failed: entry(
    500,
    'The certificate request cannot be made',
    'Give the listener a certificate that names its hosts; `sallyport enroll` makes the request for one.',
  ),

  // Onboarding.
  onboarding_invalid: entry(
    0,
    'The onboarding cannot begin with these options',
    'Read `sallyport onboard --help`: it shows the options and examples.',
  ),
  onboarding_discovery_failed: entry(
    0,
    'The issuer does not say how to sign in',
    'Check the issuer, or name the endpoints with --authorize-url and --token-url.',
  ),
  onboarding_timeout: entry(0, 'Nobody consented in time', 'Begin again; --timeout allows more time.'),
  onboarding_denied: entry(0, 'The consent was not given', 'Begin again with an account that may consent to what is asked for.'),
  onboarding_exchange_failed: entry(
    0,
    'The token endpoint did not hand out a token',
    'Check the client id, the secret, the redirect URI and the scope in the settings of the server.',
  ),
  onboarding_token_missing: entry(
    0,
    'The answer holds no refresh token',
    'Many servers want the scope `offline_access`, Google `--extra-param access_type=offline --extra-param prompt=consent`.',
  ),
  onboarding_token_exists: entry(
    0,
    'A refresh token is already stored there',
    'Use --force to put a new one in its place; the old one stays among the superseded ones.',
  ),

  // Fleet.
  fleet_invalid: entry(0, 'The fleet command cannot work with these arguments', 'Read `sallyport fleet --help`: it shows the commands and examples.'),
  fleet_register_failed: entry(0, 'The register of the fleet cannot be used', 'Check ~/.sallyport/fleet.yaml and the rights to it.'),
  fleet_instance_exists: entry(0, 'The instance is registered already', 'Choose another name, or remove the instance with `sallyport fleet remove`.'),
  fleet_instance_unknown: entry(0, 'There is no such instance', 'Look at `sallyport fleet list`, which shows those that are registered.'),
  fleet_metrics_invalid: entry(0, 'The metrics of the instance cannot be read', 'Check that the address is that of an ops listener.'),

  // Permissions, actors and tokens.
  permission_invalid: entry(
    400,
    'The permissions cannot be read',
    'Give each entry a namespace, resources and verbs; the detail names the member that is wrong.',
  ),
  permission_outside_actor: entry(
    400,
    'A permission reaches outside the namespace of the actor',
    'Name the namespace of the actor or one below it; nothing else would ever be allowed.',
  ),
  permission_denied: entry(403, 'This is not allowed', 'Ask for a permission; `/permissions/explain` says which entry is missing what.'),
  grant_exceeds_granter: entry(403, 'Nobody can grant more than they hold', 'Leave out what you may not do yourself, or ask somebody who may.'),
  actor_invalid: entry(400, 'The actor cannot be read', 'The detail names the member that is wrong.'),
  actor_not_found: entry(404, 'There is no such actor', 'Check the id or the external id, and the namespace.'),
  actor_exists: entry(409, 'There is such an actor already', 'Choose another external id, or change the actor that there is.'),
  actor_deletes_itself: entry(409, 'An actor cannot delete itself', 'Let another actor do it.'),
  actor_key_invalid: entry(
    400,
    'The public key cannot be used',
    'Give an RSA key of at least 2048 bits, an EC key on P-256, P-384 or P-521, or an Ed25519 key, as an OpenSSH line, PEM or JWK.',
  ),
  actor_key_exists: entry(409, 'The actor has this key already', 'A revoked key cannot come back; make a new one.'),
  actor_key_not_allowed: entry(
    409,
    'A person of an identity provider has no keys',
    'Make a service account with the permissions that its work takes, and give the key to that.',
  ),
  actor_key_not_found: entry(404, 'The actor has no such key', 'List the keys of the actor.'),
  token_invalid: entry(401, 'The token is not accepted', 'Send a token signed with a known key, with `iss`, `sub`, `aud` and `exp`.'),
  token_expired: entry(401, 'The token has expired', 'Sign or fetch a new one.'),
  token_not_yet_valid: entry(401, 'The token is from the future', 'Check the clocks of both machines; `nbf` and `iat` may not lie ahead.'),
  token_lives_too_long: entry(401, 'The token lives longer than is accepted', 'Choose an earlier `exp`; the detail names the longest life.'),
  token_audience_wrong: entry(401, 'The token is meant for somebody else', 'Name the service that is called in `aud`.'),
  token_replayed: entry(401, 'The token can be used once, and has been', 'Sign a new one with a new nonce.'),
  token_keys_unavailable: entry(503, 'The keys of the issuer cannot be fetched', 'Try again; the log has the cause.'),
  token_request_invalid: entry(400, 'A token cannot be made of this', 'The detail names the member that is wrong.'),

  // Keys and labels of the control plane.
  ciphertext_invalid: entry(
    500,
    'An encrypted value cannot be opened',
    'It was changed or moved in the database. Restore the row from a backup, or write the value anew.',
  ),
  key_data_invalid: entry(
    400,
    'The key data does not describe one provider',
    'Send the members of exactly one provider, as docs/keys.md lists them.',
  ),
  key_provider_forbidden: entry(
    403,
    'Keys of this namespace may not use this provider',
    'Have the operator allow the provider, and what it points at, for the namespace.',
  ),
  key_provider_failed: entry(
    502,
    'The provider of the key does not wrap and unwrap',
    'Check that the provider can be reached, that its credentials are valid and that it still holds the material.',
  ),
  key_unavailable: entry(503, 'No key can encrypt for this namespace', 'Enable the key of the namespace, or assign another one.'),
  key_not_found: entry(404, 'There is no such key', 'List the keys of the namespace; a namespace without a key of its own inherits one.'),
  key_exists: entry(409, 'The namespace has a key of this name already', 'Choose another name, or change the key that is there.'),
  key_in_use: entry(
    409,
    'The key is in use',
    'Assign another key where this one is assigned, re-encrypt, and delete it when nothing uses it any more.',
  ),
  key_out_of_reach: entry(400, 'The key cannot be assigned to this namespace', 'Assign a key of the namespace itself or of one above it.'),
  key_global: entry(400, 'The global key cannot be changed here', 'Change it in the configuration of the server.'),
  reencryption_incomplete: entry(
    0,
    'Some values could not be re-encrypted',
    'GET /reencryption names the first of each column. They stay under their old key version, which is not retired.',
  ),
  label_invalid: entry(
    400,
    'The labels or annotations are not valid',
    'The grammar is that of Kubernetes: `[prefix/]name` and values of at most 63 characters.',
  ),
  selector_invalid: entry(400, 'The label selector is not valid', 'Write conditions such as `env=prod,tier in (web,api),!legacy`.'),

  // The control plane's storage, namespaces and audit trail.
  database_busy: entry(503, 'The database is busy with other changes', 'Try again in a moment.'),
  database_unavailable: entry(503, 'The database cannot be reached', 'Try again in a moment; the log has the cause.'),
  database_url_invalid: entry(0, 'The address of the database is not valid', 'Write it as postgres://user:password@host:port/database.'),
  unique_violation: entry(409, 'Something with these values exists already', 'Choose other values, or change what is there.'),
  reference_violation: entry(
    409,
    'This names something that is not there, or is still named by something',
    'Make what is named first; remove what names it first.',
  ),
  schema_outdated: entry(0, 'The database has an older schema', 'Run `sallyport migrate`.'),
  schema_unknown: entry(
    0,
    'The database has a schema that this program does not know',
    'Install the version of Sallyport that made it, or a newer one.',
  ),
  cursor_invalid: entry(
    400,
    'The cursor is not valid for this list',
    'Send a cursor as it came, to the same list and with the same filter or none; or begin without one.',
  ),
  list_limit_invalid: entry(400, 'The limit of the list is not valid', 'Ask for 1 to 1000 entries at once.'),
  list_order_invalid: entry(400, 'The list has no such order', 'The detail names the orders that there are.'),
  precondition_invalid: entry(400, 'The If-Match field is not well-formed', 'Send the ETag as it came, in its quotes, or `*`.'),
  precondition_failed: entry(412, 'It has changed since it was read', 'Read it again, and send the new ETag in If-Match.'),
  idempotency_key_invalid: entry(400, 'The idempotency key is not valid', 'Send 1 to 255 visible ASCII characters in Idempotency-Key.'),
  idempotency_key_reused: entry(422, 'The idempotency key was used for another request', 'Make a new key for each request that is not a repetition.'),
  namespace_path_invalid: entry(
    400,
    'The path or matcher of a namespace is not valid',
    'Write `root.team.project`; a matcher may end in `.**`. Segments have letters, digits, `_` and `-`, and do not begin with `-`.',
  ),
  namespace_not_found: entry(404, 'There is no such namespace', 'List the namespaces, or create it.'),
  namespace_exists: entry(409, 'The namespace exists already', 'Choose another path.'),
  namespace_parent_missing: entry(400, 'The parent of the namespace does not exist', 'Create the parent first.'),
  namespace_not_active: entry(409, 'The namespace is being deleted', 'Use another namespace, or wait until it is gone and create it anew.'),
  namespace_protected: entry(409, 'The root namespace cannot be deleted', 'Delete the namespaces below it.'),

  // The API of the control plane.
  request_invalid: entry(
    400,
    'The request is not valid',
    'The detail and `issues` name each place that is wrong; the operation is described in /openapi.json.',
  ),
  request_too_large: entry(413, 'The request body is larger than the limit', 'Send at most 1 MiB.'),
  media_type_unsupported: entry(415, 'The body is of a kind that is not read here', 'Send JSON, with `Content-Type: application/json`.'),
  authentication_required: entry(
    401,
    'This needs to know who is asking',
    'Send `Authorization: Bearer TOKEN`; `sallyport login` sets up a key to sign tokens with.',
  ),
  redacted_value_refused: entry(
    400,
    'A masked secret cannot be stored',
    'Send the secret itself, or leave the member out to keep the one that is there.',
  ),
  rate_limited: entry(429, 'Too many requests', 'Wait for the time in Retry-After; the RateLimit fields say how much is allowed.'),
  idempotency_outcome_pending: entry(
    409,
    'The same request is being worked on, or its answer was lost',
    'Look whether the change is there; it is not made twice. Ask again with the same key in a moment.',
  ),

  // Coordination between processes.
  bus_unavailable: entry(503, 'What connects the processes cannot be reached', 'Try again in a moment; the readiness report says what is missing.'),
  redis_url_invalid: entry(0, 'The address of Redis is not valid', 'Write it as redis://user:password@host:port/0, or rediss:// for TLS.'),
  lease_lost: entry(503, 'Another process has taken this work over', 'Try again in a moment.'),

  // Tasks.
  task_unknown: entry(400, 'There is no such task', 'Use a name that this version of Sallyport has.'),
  task_payload_invalid: entry(400, 'The payload of the task is not valid', 'Correct what the detail names; a payload has at most 64 KiB.'),
  task_not_found: entry(404, 'There is no such task', 'List the tasks; finished ones are kept only for a time.'),
  task_state_conflict: entry(409, 'The task is in a state in which this cannot be done', 'Read the task again.'),
  task_schedule_invalid: entry(
    0,
    'The schedule of a task is not valid',
    'Write `MINUTE HOUR DAY MONTH WEEKDAY` in UTC, each `*`, `*/5`, `1`, `1-5` or a list of those.',
  ),
  task_timed_out: entry(0, 'The task took too long', 'Look for what it waits for; it is tried again unless this was the last attempt.'),
  task_cancelled: entry(0, 'The task was cancelled', 'Nothing is to be done; `retry` puts it back.'),
  task_interrupted: entry(
    0,
    'The process that ran the task ended or was not heard of in time',
    'Nothing is to be done: another process runs it again.',
  ),

  // The certificates of the control plane's services.
  server_tls_invalid: entry(
    0,
    'The TLS of a service is not configured completely',
    'Give `cert` and `key`, or `self_signed` with a `dir`, or `acme` with `email`, `accept_tos: true`, `hosts` and `dir`.',
  ),
  server_certificate_expires: entry(
    0,
    'The certificate of a service is about to expire',
    'Renew it where it comes from; new files are taken into use at once.',
  ),
  server_name_unknown: entry(
    0,
    'There is no certificate for the name that a client asked for',
    'List the name under `hosts`, or call the service by one that is there.',
  ),
  acme_unreachable: entry(
    0,
    'The ACME server cannot be reached or does not work',
    'Check the address and that this machine may connect to it; a private one may need `ca`. It is asked again by itself.',
  ),
  acme_account_refused: entry(
    0,
    'The ACME server accepts no account from here',
    'Check `email`, and `eab` when the authority wants accounts that it knows: its key identifier and its HMAC key belong together.',
  ),
  acme_order_refused: entry(
    0,
    'The authority makes no certificate for this host',
    'Check the name, and its CAA records in the DNS; the detail has what the authority says.',
  ),
  acme_challenge_failed: entry(
    0,
    'The authority cannot see that the host is here',
    'Let the DNS lead to this machine, and let port 80 be reached from the internet; the detail has what the authority saw.',
  ),
  acme_rate_limited: entry(
    0,
    'The authority was asked too often',
    'Wait; it is asked again when it allows it. Use its staging server for trying things out.',
  ),
  acme_port_unavailable: entry(
    0,
    'The port for the checks of the authority cannot be opened',
    'Stop what listens there, choose another `http_port` that port 80 is forwarded to, or give the right to open ports below 1024.',
  ),
  acme_waiting: entry(
    0,
    'No certificate is asked for yet, because attempts have failed',
    'Correct what the detail names and wait, or remove the record of the attempts.',
  ),

  // Sessions and signing in.
  session_required: entry(
    401,
    'Nobody is signed in',
    'Send the browser to `redirect_url`, or to one of the providers of GET /sign-in/providers when there is none.',
  ),
  session_token_reusable: entry(
    403,
    'A token that counts more than once begins no session',
    'Sign one with a `nonce` and a life of a minute or so, or ask POST /tokens for one with `single_use`.',
  ),
  session_not_found: entry(404, 'There is no such session', 'List the sessions; those that have ended are not among them.'),
  xsrf_token_missing: entry(403, 'The XSRF token is missing', 'Send the X-XSRF-TOKEN of the latest answer back in a field of the same name.'),
  xsrf_token_invalid: entry(403, 'The XSRF token is not valid', 'Send the X-XSRF-TOKEN of the latest answer; any GET request brings one.'),
  return_url_not_allowed: entry(
    400,
    'The browser may not be sent back to this URL',
    'Have the operator add the URL, or the path above it, to the return URLs of the service.',
  ),
  sign_in_provider_unknown: entry(404, 'There is no such identity provider', 'Use one of those that the sign-in page offers.'),
  sign_in_provider_unavailable: entry(503, 'The identity provider cannot be reached', 'Try again in a moment; the log has the cause.'),
  sign_in_state_invalid: entry(400, 'This is not the browser or the attempt that the sign-in began with', 'Begin again, in one tab.'),
  sign_in_expired: entry(400, 'Signing in took too long', 'Begin again.'),
  sign_in_replayed: entry(400, 'This sign-in is over already', 'Begin again.'),
  sign_in_denied: entry(403, 'The identity provider did not let the person in', 'Begin again, with an account that may use this application.'),
  sign_in_answer_invalid: entry(
    400,
    'The answer of the identity provider does not hold',
    'Begin again; if it happens each time, check the issuer, the client and the clocks.',
  ),
  sign_in_no_role: entry(403, 'This person has no role here', 'Have the person added to a group that the roles of the provider name.'),
  sign_in_name_missing: entry(
    403,
    'The identity provider does not say who the person is',
    'Have the provider send the claim that `external_id_claim` names; an e-mail address has to be verified.',
  ),
  sign_in_actor_deleted: entry(403, 'The actor of this person was deleted', 'Wait until it has been purged, or sign in as somebody else.'),
  sign_in_actor_taken: entry(409, 'There is another actor of this name', 'Rename or delete that actor, or choose another `external_id_claim`.'),

  // The client of the control plane.
  client_config_invalid: entry(
    0,
    'The client configuration is not valid',
    'Correct the places that are listed, or write it anew with `sallyport login`.',
  ),
  client_config_incomplete: entry(
    0,
    'The client configuration does not say enough',
    'Run `sallyport login`, or give --actor and --private-key; their variables are in the help.',
  ),
  signing_key_invalid: entry(0, 'Requests cannot be signed with this key', 'Name a private key of OpenSSH or in PEM with --private-key.'),
  server_unreachable: entry(0, 'The server cannot be reached', 'Check the address, and that the server runs.'),
  server_answer_invalid: entry(0, 'The server does not answer as a control plane does', 'Check the address: it is that of a service of Sallyport.'),
  server_refused: entry(0, 'The server refused the request', 'The sentence is that of the server; its log has more under the request id.'),
  local_request_refused: entry(
    403,
    'This server acts for its user, and does not trust where the request comes from',
    'Call it as localhost or by its address; --allow-host and --allow-origin let others in.',
  ),
  login_return_refused: entry(
    400,
    'A login may not lead to this address',
    'Return to `server.marketplace` or `server.admin_ui` of the client configuration.',
  ),

  // The key that was made together with the database.
  global_key_missing: entry(
    0,
    'The global key of this database is not there',
    'Put the file back where it was, from a backup if need be, or name its new place in `control.system_auth.global_key`.',
  ),
  global_key_exposed: entry(
    0,
    'Others can read the global key',
    'Take the rights of group and others away with `chmod 600`; if somebody may have read it, configure another one and re-encrypt.',
  ),

  // Actors that the configuration names.
  actor_directory_unreadable: entry(
    500,
    'A directory of public keys cannot be read',
    'Let this process read the directory and the files in it, or take it out of `actor_directories`; until then its actors stay as they are.',
  ),

  // Commands about the control plane.
  confirmation_required: entry(0, 'It was not confirmed', 'Answer with yes where you are asked, or give --yes when it is meant.'),
  value_file_invalid: entry(0, 'A file with a value cannot be used', 'Correct the file; --help of the command says what is expected in it.'),
  manifest_invalid: entry(
    0,
    'A document to apply is not valid',
    'Correct it at the place that is named; `sallyport apply --schema` prints what may stand there.',
  ),
  manifest_conflict: entry(
    0,
    'What is to be applied belongs to somebody else',
    'Leave it to them, or take the label `sallyport.io/applied-by` away from it.',
  ),

  // Starting and configuring.
  telemetry_unavailable: entry(
    0,
    'Traces or metrics cannot be exported',
    'Install the packages that are named, or take `tracing` and `metrics` out of `gateway.telemetry`.',
  ),
  config_not_found: entry(0, 'The configuration file cannot be read', 'Check the path and the permissions of the file.'),
  config_invalid: entry(0, 'The configuration is not valid', 'Correct the places that are listed; `sallyport config schema` prints what is allowed.'),
  authority_invalid: entry(
    0,
    'The certificate authority cannot be used',
    'Restore the missing half, or make a new one with `sallyport ca regenerate --confirm`.',
  ),
  authority_permissions: entry(
    0,
    'Others can use the key or the directory of the certificate authority',
    'Run chmod 600 on the key file and chmod 700 on its directory.',
  ),
  address_in_use: entry(0, 'The port is already in use', 'Stop what listens there, or choose another port for the listener.'),
  bind_failed: entry(0, 'The listener cannot be opened', 'Check the host and the port of the listener; ports below 1024 need rights.'),
  not_ready: entry(503, 'The gateway is not ready to take requests', 'Ask again until the answer is 200; the members say what is being waited for.'),
  internal_error: entry(500, 'Something went wrong inside the gateway', 'Please report it with the request id; the gateway log has the cause.'),
} as const satisfies Record<string, CatalogueEntry>;

/** A stable machine code; see the catalogue for what each one means. */
export type ErrorCode = keyof typeof errorCatalogue;

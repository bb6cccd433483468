import { Option } from 'commander';
import type { DocumentedCommand } from '../documented-command.js';

/** The options of every command that calls the control plane; `ClientOptions` is what becomes of them. */
export function withClientOptions(command: DocumentedCommand): DocumentedCommand {
  return withIdentityOptions(command)
    .option('--server <url>', 'the address of the service that is called; otherwise SALLYPORT_SERVER or that under `server:`')
    .option('--ca <file>', 'the authority that signed its certificate (PEM); otherwise SALLYPORT_SERVER_CA, `ca:` or the public ones')
    .option('--plaintext', 'send tokens also to an http:// address beyond this machine');
}

/** The options that say who signs, for commands that call nobody. */
export function withIdentityOptions(command: DocumentedCommand): DocumentedCommand {
  return command
    .option('--client-config <file>', 'who asks, with which key, and whom; otherwise SALLYPORT_CLIENT_CONFIG, ~/.sallyport.yaml or ~/.authproxy.yaml')
    .option('--actor <external-id>', 'who asks; otherwise SALLYPORT_ACTOR or `actor:`')
    .option('--namespace <path>', 'the namespace of the actor; otherwise SALLYPORT_NAMESPACE, `namespace:` or root')
    .option('--private-key <file>', 'the key that signs, of OpenSSH or PEM; otherwise SALLYPORT_PRIVATE_KEY or `private_key:`')
    .option('--secret-key <file>', 'a shared secret in base64 instead; otherwise SALLYPORT_SECRET_KEY or `secret_key:`');
}

/** How the result is printed. */
export const formatOption = (): Option =>
  new Option('-o, --output <format>', 'how the result is printed').choices(['table', 'json', 'yaml']).default('table');

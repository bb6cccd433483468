import { Option } from 'commander';
import type { DocumentedCommand } from '../documented-command.js';

/** Over the options that are the same for every command that calls the control plane. */
const HEADING = 'Who asks, and whom:';

const shared = (flags: string, description: string): Option => new Option(flags, description).helpGroup(HEADING);

/** Whether an option is one of those that many commands have in the same way. */
export function isShared({ helpGroupHeading }: Option): boolean {
  return helpGroupHeading === HEADING;
}

/** The options that say whom to call, for every command that calls the control plane; `ClientOptions` is what becomes of them. */
export function clientOptions(): readonly Option[] {
  return [
    ...identityOptions(),
    shared('--server <url>', 'the address of the service that is called; otherwise SALLYPORT_SERVER or that under `server:`'),
    shared('--ca <file>', 'the authority that signed its certificate (PEM); otherwise SALLYPORT_SERVER_CA, `ca:` or the public ones'),
    shared('--plaintext', 'send tokens also to an http:// address beyond this machine'),
  ];
}

/** The options that say who signs. */
function identityOptions(): readonly Option[] {
  return [
    shared('--client-config <file>', 'who asks, with which key, and whom; otherwise SALLYPORT_CLIENT_CONFIG, ~/.sallyport.yaml or ~/.authproxy.yaml'),
    shared('--actor <external-id>', 'who asks; otherwise SALLYPORT_ACTOR or `actor:`'),
    shared('--actor-namespace <path>', 'its namespace; otherwise SALLYPORT_NAMESPACE, `namespace:` or root'),
    shared('--private-key <file>', 'the key that signs, of OpenSSH or PEM; otherwise SALLYPORT_PRIVATE_KEY or `private_key:`'),
    shared('--secret-key <file>', 'a shared secret in base64 instead; otherwise SALLYPORT_SECRET_KEY or `secret_key:`'),
  ];
}

/** Adds the options of every command that calls the control plane. */
export function withClientOptions(command: DocumentedCommand): DocumentedCommand {
  for (const option of clientOptions()) command.addOption(option);
  return command;
}

/** Adds the options that say who signs, for commands that call nobody. */
export function withIdentityOptions(command: DocumentedCommand): DocumentedCommand {
  for (const option of identityOptions()) command.addOption(option);
  return command;
}

/** How the result is printed. */
export const formatOption = (): Option =>
  new Option('-o, --output <format>', 'how the result is printed').choices(['table', 'json', 'yaml']).default('table');

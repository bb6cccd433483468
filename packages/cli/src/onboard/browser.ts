import { spawn } from 'node:child_process';
import { secretVariables } from './client-secret.js';

/** The program that opens an address, and its arguments: never a shell, so nothing in the address can be taken for a command. */
export function browserCommand(platform: NodeJS.Platform, url: string): { readonly command: string; readonly args: readonly string[] } {
  if (platform === 'darwin') return { command: 'open', args: [url] };
  // What `start` of cmd.exe ends up calling, without cmd.exe, to which & and % in an address mean something.
  if (platform === 'win32') return { command: 'rundll32.exe', args: ['url.dll,FileProtocolHandler', url] };
  return { command: 'xdg-open', args: [url] };
}

/** Opens an http(s) address in the browser and does not wait for it. Calls back when that turns out not to have worked. */
export function openBrowser(url: string, failed: () => void): void {
  const { command, args } = browserCommand(process.platform, url);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !(secretVariables as readonly string[]).includes(name)));
  const child = spawn(command, args, { stdio: 'ignore', detached: true, env });
  child.once('error', failed);
  child.once('exit', (code) => {
    if (code !== 0) failed();
  });
  child.unref();
}

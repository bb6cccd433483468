import { type AzureKeyVaultTokenStoreOptions, azureKeyVaultTokenStore } from './azure-key-vault.js';
import { type ControlPlaneTokenStoreOptions, controlPlaneTokenStore } from './control-plane.js';
import { directoryTokenStore, fileTokenStore } from './file-token-store.js';
import type { TokenStore } from './token-store.js';
import { type VaultTokenStoreOptions, vaultTokenStore } from './vault.js';

/** A token store as data: its kind, and what that kind needs. */
export type TokenStoreDescription =
  | { readonly type: 'file' | 'directory'; readonly path: string }
  | ({ readonly type: 'vault' } & VaultTokenStoreOptions)
  | ({ readonly type: 'azure_key_vault' } & AzureKeyVaultTokenStoreOptions)
  | ({ readonly type: 'control_plane' } & ControlPlaneTokenStoreOptions);

/** The store that is described. Nothing is read or sent yet. Throws `config_invalid`, which begins with the name of the option at fault. */
export function openTokenStore(description: TokenStoreDescription): TokenStore {
  switch (description.type) {
    case 'file':
      return fileTokenStore(description.path);
    case 'directory':
      return directoryTokenStore(description.path);
    case 'vault':
      return vaultTokenStore(description);
    case 'azure_key_vault':
      return azureKeyVaultTokenStore(description);
    case 'control_plane':
      return controlPlaneTokenStore(description);
  }
}

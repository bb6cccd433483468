import { z } from 'zod';
import { secretUrl } from './provider-http.js';

/** Where Google gives out tokens. */
export const GOOGLE_TOKEN_URI = 'https://oauth2.googleapis.com/token';

const serviceAccountSchema = z.object({
  // The other kinds name files to read, commands to run or addresses to call, which must not come from key data.
  type: z.literal('service_account'),
  client_email: z.string().min(3).max(320),
  private_key_id: z.string().max(256).optional(),
  private_key: z.string().min(1),
  token_uri: z
    .string()
    .max(2048)
    .refine((address) => secretUrl(address) !== null)
    .default(GOOGLE_TOKEN_URI),
});

/** A service account with its private key. */
export type ServiceAccount = z.infer<typeof serviceAccountSchema>;

/** The service account in the JSON text that Google hands out; null for everything else. */
export function parseServiceAccount(text: string): ServiceAccount | null {
  try {
    return serviceAccountSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

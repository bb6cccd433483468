import { type Plugin, SallyportError } from '@sallyport/sdk';

/** Every subscription at Acme has a token of its own, which Acme hands out for an hour. */
export default function acme(options: { token_url?: string; api_key?: string }): Plugin {
  const { token_url: tokenUrl, api_key: apiKey } = options;
  if (!tokenUrl || !apiKey) throw new Error('the options token_url and api_key are needed');
  return {
    async getCredentials(context, _request, { signal }) {
      if (context.subscriptionId === '') throw new SallyportError('context_data_missing', { detail: 'Acme needs a subscription' });
      const body = new URLSearchParams({ subscription: context.subscriptionId });
      const answer = await fetch(tokenUrl, { method: 'POST', headers: { 'X-Api-Key': apiKey }, body, signal });
      if (!answer.ok) throw new SallyportError('credential_unavailable', { detail: `Acme answered ${answer.status}` });
      const { token, expires_in } = (await answer.json()) as { token: string; expires_in: number };
      return { headers: { Authorization: `Bearer ${token}` }, expiresAt: Date.now() + (expires_in - 60) * 1000 };
    },
  };
}

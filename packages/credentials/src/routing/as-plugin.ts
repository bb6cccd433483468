import { type CertificateSigner, type CredentialProvider, type ResponseModifier, SallyportError } from '@sallyport/sdk';

/** A whole plugin around a provider: it signs nothing (`signing_not_configured`) and leaves responses as they are. */
export function asPlugin(provider: CredentialProvider): CredentialProvider & CertificateSigner & ResponseModifier {
  return {
    getCredentials: (context, request, options) => provider.getCredentials(context, request, options),
    signCsr() {
      throw new SallyportError('signing_not_configured');
    },
    modifyResponse: () => null,
  };
}

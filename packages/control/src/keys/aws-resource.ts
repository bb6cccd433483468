const ARN = /^arn:aws[a-z-]*:[a-z]+:([a-z0-9-]+):[0-9]{12}:/;

/** The region in which a secret or key of AWS is: that of its ARN, or the one that is named beside it. Null when neither is there or they differ. */
export function awsRegion(id: string, named: string | undefined): string | null {
  const own = ARN.exec(id)?.[1];
  if (own !== undefined && named !== undefined && own !== named) return null;
  return own ?? named ?? null;
}

/** One text for what is meant: the ARN, or `region/id`, so that a rule about one region says nothing about another. */
export function awsResource(id: string, named: string | undefined): string {
  return ARN.test(id) ? id : `${named}/${id}`;
}

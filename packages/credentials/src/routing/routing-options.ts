/** Told of what is allowed and probably not meant. The fields hold no secrets. */
export type OnWarning = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/** Settings of what is made of routes. */
export interface RoutingOptions {
  readonly onWarning?: OnWarning | undefined;
}

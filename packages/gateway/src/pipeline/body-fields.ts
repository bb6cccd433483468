/** Names of the fields that describe a body byte by byte, and are wrong once there is another one. */
export const contentFields: readonly string[] = [
  'content-encoding',
  'content-md5',
  'content-range',
  'content-digest',
  'repr-digest',
  'digest',
  'etag',
  'last-modified',
  'accept-ranges',
];

/** Names of all fields that go with a body when something of ours takes its place. */
export const bodyFields: readonly string[] = [
  ...contentFields,
  'content-type',
  'content-language',
  'content-location',
  'content-disposition',
  'transfer-encoding',
  'trailer',
];

/** What we can send compressed, the smaller first. */
const ENCODINGS = ['br', 'gzip'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/**
 * Which encoding a client would have (RFC 9110, 12.5.3); undefined: the bytes as they are.
 *
 * @param accepted its Accept-Encoding
 * @param offered what there is to choose from
 */
export function chooseEncoding(
  accepted: string | null | undefined,
  offered: (encoding: Encoding) => boolean = () => true,
): Encoding | undefined {
  const weights = new Map(
    (accepted ?? '').split(',').map((part) => {
      const [name = '', ...parameters] = part.split(';').map((word) => word.trim().toLowerCase());
      const q = parameters.find((parameter) => parameter.startsWith('q='));
      return [name, q ? Number(q.slice(2)) : 1];
    }),
  );
  const weightOf = (encoding: Encoding) => weights.get(encoding) ?? weights.get('*') ?? 0;
  return ENCODINGS.filter((encoding) => offered(encoding) && weightOf(encoding) > 0).sort(
    (a, b) => weightOf(b) - weightOf(a),
  )[0];
}

/**
 * Whether a client has these bytes already, by its If-None-Match. It compares weakly: a proxy may have put
 * W/ before what we sent.
 */
export const isKnown = (known: string | null | undefined, etag: string): boolean =>
  (known ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === etag);

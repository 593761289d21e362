/** Who may load and run what, in the one form that the header has. */
export const policy = (directives: Readonly<Record<string, string>>): string =>
  Object.entries({
    // What is not named is forbidden, also what browsers will know one day.
    'default-src': "'none'",
    ...directives,
    // These three default-src does not speak of.
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
  })
    .map((directive) => directive.join(' '))
    .join('; ');

/**
 * With every answer: it is what it says it is, loads and runs nothing, and no other site frames it or
 * takes it for an image or a script of its own. No Strict-Transport-Security: that is for who holds the
 * certificate, and speaks for all of a host.
 */
export const HEADERS = Object.entries({
  'content-security-policy': policy({}),
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
});

/** With a page and its files, beside a policy of their own. */
export const PAGE_HEADERS = {
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

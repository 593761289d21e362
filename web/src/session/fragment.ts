/**
 * What a link says behind its `#`, if it says one of these. It is taken out of the URL at once: keys
 * have no place in the browser's history.
 */
export function takeFragment(...names: string[]): URLSearchParams | undefined {
  const { hash, pathname, search } = window.location;
  const said = new URLSearchParams(hash.slice(1));
  if (!names.some((name) => said.has(name))) return undefined;
  window.history.replaceState(window.history.state, '', pathname + search);
  return said;
}

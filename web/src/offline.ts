/**
 * Keeps the page on this device, so that it opens without the server too (see web/shell/worker.js).
 * Where the browser refuses, the page works all the same, online.
 */
export function registerShell(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const register = () => navigator.serviceWorker.register('/sw.js').catch(() => undefined);
  // Not while the page itself still loads.
  if (document.readyState === 'complete') void register();
  else addEventListener('load', register, { once: true });
}

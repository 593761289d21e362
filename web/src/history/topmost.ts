/** Below the sticky heading of the day, in px. */
const HEADING = 40;

/** When the exchange was written that is at the top of what is visible. */
export function topmost(scroller: HTMLElement): string | undefined {
  const top = scroller.getBoundingClientRect().top + HEADING;
  for (const entry of scroller.querySelectorAll<HTMLElement>('[data-created-at]')) {
    if (entry.getBoundingClientRect().bottom > top) return entry.dataset['createdAt'];
  }
  return undefined;
}

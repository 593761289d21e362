/** Whether a key press in the composer sends what is written there. */
export function goesOut(event: KeyboardEvent): boolean {
  if (event.key !== 'Enter' || event.shiftKey || event.altKey) return false;
  // Enter that takes a suggestion of an input method. Safari ends the composition before it, and tells
  // only by 229 (WebKit bug 165004).
  if (event.isComposing || event.keyCode === 229) return false;
  // On a touch screen there is no Shift at hand, and the button is.
  const onlyTouch = matchMedia('(hover: none) and (pointer: coarse)').matches;
  return !onlyTouch || event.ctrlKey || event.metaKey;
}

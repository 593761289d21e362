/** The address of one message, for its reader alone. */
export const linkTo = (id: string): string => new URL(`/m/${id}`, window.location.origin).href;

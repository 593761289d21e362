import './composer.css';
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef } from 'react';
import { useMutation } from 'urql';
import { useChat, useHistory } from '../chat.tsx';
import { Announcer } from '../message/announcer.tsx';
import { StopReply } from '../message/stop.ts';
import { PersonalityEntry } from '../personality/entry.tsx';
import { useDraft } from './draft.ts';
import { goesOut } from './keys.ts';

/** As the server has it. */
const MOST = 32_000;
/** From here on it is said how many characters are left. */
const NEAR = MOST - 2_000;

/** Where one writes: floats over the end of the text, one line until more is needed. */
export function Composer() {
  const { outbox, session } = useChat();
  const [text, setText] = useDraft(session.userId);
  const form = useRef<HTMLFormElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const left = MOST - text.length;
  const canSend = text.trim() !== '' && left >= 0;

  useSpace(form);
  useSlash(field);
  useGrowth(field, text);

  function send(): void {
    if (!canSend) return;
    outbox.send(text);
    setText('');
    field.current?.focus();
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>): void {
    if (!goesOut(event.nativeEvent)) return;
    event.preventDefault();
    send();
  }

  return (
    <form
      ref={form}
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="composer-box">
        <textarea
          ref={field}
          id="composer"
          rows={1}
          dir="auto"
          aria-label="Message"
          aria-describedby="composer-hint composer-limit"
          aria-invalid={left < 0}
          placeholder="Write a message"
          enterKeyHint="enter"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <StopButton />
        <button type="submit" className="composer-send" disabled={!canSend}>
          Send
        </button>
      </div>
      <PersonalityEntry />
      <p id="composer-hint" className="only-read-aloud">
        Enter sends, Shift and Enter begin a new line; on a touch screen Enter begins a new line. A
        slash brings you here from anywhere.
      </p>
      <p id="composer-limit" className="composer-limit" role="status">
        {text.length > NEAR && limitInWords(left)}
      </p>
      <Announcer />
    </form>
  );
}

function limitInWords(left: number): string {
  const count = Math.abs(left).toLocaleString();
  const characters = Math.abs(left) === 1 ? 'character' : 'characters';
  if (left < 0) return `${count} ${characters} too many: a message has at most 32,000.`;
  return `${count} ${characters} left.`;
}

/** While a reply is being written, the newest one can be stopped from here. */
function StopButton() {
  const { nodes } = useHistory();
  const [{ fetching }, stop] = useMutation(StopReply);
  const running = nodes.findLast(({ status }) => status === 'PENDING' || status === 'STREAMING');
  if (!running) return null;
  return (
    <button type="button" disabled={fetching} onClick={() => void stop({ id: running.id })}>
      Stop
    </button>
  );
}

/** Tells the page how much room the composer takes, so that nothing ends behind it. */
function useSpace(form: React.RefObject<HTMLFormElement | null>): void {
  useEffect(() => {
    const element = form.current;
    if (!element) return;
    const { style } = document.documentElement;
    const observer = new ResizeObserver(() => {
      style.setProperty('--composer-space', `${element.offsetHeight}px`);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      style.removeProperty('--composer-space');
    };
  }, [form]);
}

/** `/` comes here from anywhere, unless somebody is writing there or a dialog is open. */
function useSlash(field: React.RefObject<HTMLTextAreaElement | null>): void {
  useEffect(() => {
    const heard = (event: globalThis.KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      const at = event.target instanceof Element ? event.target : undefined;
      if (at?.closest('input, textarea, select, [contenteditable], [role="dialog"]')) return;
      event.preventDefault();
      field.current?.focus();
    };
    document.addEventListener('keydown', heard);
    return () => document.removeEventListener('keydown', heard);
  }, [field]);
}

/** For browsers that do not know `field-sizing: content`. */
function useGrowth(field: React.RefObject<HTMLTextAreaElement | null>, text: string): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: each text has its own height
  useLayoutEffect(() => {
    const element = field.current;
    if (!element || CSS.supports('field-sizing', 'content')) return;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight}px`;
  }, [field, text]);
}

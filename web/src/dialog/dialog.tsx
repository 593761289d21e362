import './dialog.css';
import { Dialog as Primitive } from 'radix-ui';
import { type ReactNode, useState } from 'react';

interface Props {
  readonly title: string;
  /** One sentence below the title. */
  readonly description: ReactNode;
  readonly children: ReactNode;
  readonly onClose: () => void;
}

/** A dialog that is open as long as it is there. On a phone it comes from below. */
export function Dialog({ title, description, children, onClose }: Props) {
  // Whoever opens it renders it, without Radix' trigger: focus goes back there all the same.
  const [opener] = useState(() => document.activeElement);
  return (
    <Primitive.Root open onOpenChange={(open) => open || onClose()}>
      <Primitive.Portal>
        <Primitive.Overlay className="dialog-ground" />
        <Primitive.Content
          className="dialog"
          onCloseAutoFocus={() => opener instanceof HTMLElement && opener.focus()}
        >
          <header>
            <Primitive.Title>{title}</Primitive.Title>
            <Primitive.Close>Close</Primitive.Close>
          </header>
          <Primitive.Description className="dialog-lead">{description}</Primitive.Description>
          {children}
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}

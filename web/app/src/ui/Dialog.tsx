// Dialogs: they take the focus, keep it, and give it back.

import { type ReactElement, type ReactNode, useEffect, useState } from "react";
import { Dialog as AriaDialog, DialogTrigger } from "react-aria-components/Dialog";
import { Heading } from "react-aria-components/Heading";
import { Modal, ModalOverlay } from "react-aria-components/Modal";
import { Popover } from "react-aria-components/Popover";
import { Button, IconButton } from "./Button";
import { CloseIcon } from "./Icon";
import styles from "./overlays.module.css";

/** The second click of a double click comes within this many milliseconds; it was not meant for us. */
const DOUBLE_CLICK = 500;

interface DialogProps {
  title: string;
  /** The name of the closing cross; without it the content has a button that closes. */
  close?: string;
  children: ReactNode;
  onClose(): void;
}

export function Dialog({ title, close, children, onClose }: DialogProps) {
  const [settled, setSettled] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(true), DOUBLE_CLICK);
    return () => clearTimeout(timer);
  }, []);
  return (
    <ModalOverlay
      isOpen
      isDismissable
      shouldCloseOnInteractOutside={() => settled}
      className={styles["overlay"] ?? ""}
      onOpenChange={(open) => { if (!open) onClose(); }}
    >
      <Modal className={`${styles["modal"]} ${(!settled && styles["unsettled"]) || ""}`}>
        <AriaDialog className={styles["dialog"] ?? ""}>
          <div className={styles["head"]}>
            <Heading slot="title" level={2} className={styles["title"] ?? ""}>{title}</Heading>
            {close === undefined ? null : <IconButton name={close} icon={<CloseIcon />} onPress={onClose} />}
          </div>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  confirm: string;
  cancel: string;
  onConfirm(): void;
  onClose(): void;
}

/** Asks before something that can't be taken back; Escape and the backdrop mean no. */
export function Confirm({ title, text, confirm, cancel, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p className={styles["text"]}>{text}</p>
      <div className={styles["buttons"]}>
        <Button onPress={onClose} autoFocus>{cancel}</Button>
        <Button tone="danger" onPress={() => { onClose(); onConfirm(); }}>{confirm}</Button>
      </div>
    </Dialog>
  );
}

/** A small dialog at its button. */
export function PopoverButton({ label, trigger, children }: { label: string; trigger: ReactElement; children: ReactNode }) {
  return (
    <DialogTrigger>
      {trigger}
      <Popover className={styles["popover"] ?? ""}>
        <AriaDialog aria-label={label} className={styles["small"] ?? ""}>{children}</AriaDialog>
      </Popover>
    </DialogTrigger>
  );
}
